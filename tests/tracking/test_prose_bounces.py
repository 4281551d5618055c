"""Bounces in prose: what mail systems write who know no RFC 3464, and what only looks like it."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from engine.answers.classify import classifier_of
from engine.content.links import return_path_of
from engine.inbound.mail_reading import read_inbound_mail
from tests.tracking.letters import answer, delivery_report, original

if TYPE_CHECKING:
    from engine.answers.meanings import ProviderAnswer

ID = "<1.2@muster.example>"
COPY = original(message_id=ID)
NOTICES = {
    "qmail": """\
        Hi. This is the qmail-send program at mx.x.example.
        I'm afraid I wasn't able to deliver your message to the following addresses.
        This is a permanent error; I've given up. Sorry it didn't work out.

        <ada@x.example>:
        192.0.2.7 does not like recipient.
        Remote host said: 550 5.1.1 <ada@x.example>: user unknown
        Giving up on 192.0.2.7.

        --- Below this line is a copy of the message.
        """,
    "exim": """\
        This message was created automatically by mail delivery software.

        A message that you sent could not be delivered to one or more of its
        recipients. This is a permanent error. The following address(es) failed:

          ada@x.example
            Unrouteable address

        ------ This is a copy of the message, including all the headers. ------
        """,
    "postfix": """\
        This is the Postfix program at host mx.x.example.

        I'm sorry to have to inform you that your message could not
        be delivered to one or more recipients. It's attached below.

        <ada@x.example>: host mx2.x.example[192.0.2.8] said: 550 5.1.1
            <ada@x.example>: Recipient address rejected: User unknown (in reply to RCPT TO command)

        ------ message headers follow ------
        """,
    "exchange": """\
        Your message

          To:      ada@x.example
          Subject: Spring sale
          Sent:    Mon, 2 Mar 2026 09:00:00 +0000

        did not reach the following recipient(s):

        ada@x.example on Mon, 2 Mar 2026 09:00:03 +0000
            The recipient name is not recognized: no such user
                The MTS-ID of the original message is: c=us;a= ;p=x;l=EX0103020900

        ------ original message follows ------
        """,
    "yahoo": """\
        Sorry, we were unable to deliver your message to the following address.

        <ada@x.example>:
        Remote host said:
        554 delivery error: dd This user doesn't have a x.example account (ada@x.example) [0] - mta1009.mail.x.example

        --- Below this line is a copy of the message.
        """,
    "gmail": """\
        Delivery to the following recipient failed permanently:

             ada@x.example

        Technical details of permanent failure:
        Google tried to deliver your message, but it was rejected by the recipient domain. We recommend contacting
        the other email provider. The error that the other server returned was: 550 550 5.1.1 no such user (state 14).

        ----- Original message -----
        """,
    "mail.ru": """\
        This message was created automatically by mail delivery software.

        A message that you sent could not be delivered to one or more of its recipients.
        The following address(es) failed:

          ada@x.example
            SMTP error from remote mail server after RCPT TO:<ada@x.example>:
            host mxs.x.example [192.0.2.9]: 550 Message was not accepted -- invalid mailbox.
            Local mailbox ada@x.example is unavailable: user not found

        ------ This is a copy of the message, including all the headers. ------
        """,
    "dragonfly": """\
        This is the DragonFly Mail Agent v0.13 at mx.x.example.

        There was an error delivering your mail to <ada@x.example>.

        mx2.x.example [192.0.2.8] did not like our RCPT TO:
        550 5.1.1 <ada@x.example>: Recipient address rejected: User unknown

        Message headers follow.
        """,
    "unknown": """\
        Undeliverable: your message to ada@x.example was not accepted: 550 5.1.1 unknown user.

        > Original message follows:
        """,
}


def notice(
    text: str,
    *,
    sender: str = "MAILER-DAEMON@mx.x.example",
    head: str = "Return-Path: <>\n",
    copy: str = COPY,
) -> bytes:
    raw = f"{head}From: {sender}\nTo: news@muster.example\nSubject: failure notice\n\n{dedent(text)}\n{copy}"
    return raw.replace("\n", "\r\n").encode()


def bars(answer: ProviderAnswer | None) -> bool:
    assert answer is not None
    return classifier_of().classify(answer).bar


def read(raw: bytes):
    mail = read_inbound_mail(raw)
    if mail.kind != "bounce":
        return mail.kind, (), []
    (report,) = mail.reports
    found = [
        (
            one.kind,
            one.addresses,
            one.kind == "bounced" and bars(one.answer),
        )
        for one in report.recipients
    ]
    return mail.kind, report.traces.message_ids, found


@pytest.mark.parametrize("system", NOTICES)
def test_what_a_mail_system_writes_is_a_bounce(system: str) -> None:
    """It names whom, says why, and holds the message that it is about."""
    assert ("bounce", (ID,), [("bounced", ("ada@x.example",), True)]) == read(notice(NOTICES[system]))


@pytest.mark.parametrize(
    ("words", "bar"),
    [
        ("550 5.1.1 unknown", True),
        ("mailbox is full", False),
        ("Remote host said: 552 5.2.2 over quota", False),
        ("Remote host said: 550 5.7.1 [85.5.1.1] rejected, spam", False),
        ("I ran Exim 4.94.2 and it failed", False),
        ("Sorry, no mailbox here by that name. (#5.1.1)", True),
        ("This message is looping: it already has my Delivered-To line. (#5.4.6)", False),
    ],
)
def test_only_that_nobody_is_there_bars(words: str, bar: bool) -> None:
    text = NOTICES["qmail"].replace("192.0.2.7 does not like recipient.", words)
    text = "\n".join(line for line in text.split("\n") if "user unknown" not in line)
    assert ("bounced", ("ada@x.example",), bar) == read(notice(text))[2][0]


def test_of_several_each_has_its_own_words() -> None:
    text = """\
        Hi. This is the qmail-send program at mx.x.example.

        <bo@x.example>:
        Remote host said: 552 5.2.2 mailbox full

        <ada@x.example>:
        Sorry, no mailbox here by that name. (#5.1.1)

        --- Below this line is a copy of the message.
        """
    _, _, found = read(notice(text))
    assert {(("ada@x.example",), True), (("bo@x.example",), False)} == {(who, bar) for _, who, bar in found}


def test_sendmails_lines_are_each_about_their_own_address() -> None:
    text = """\
           ----- The following addresses had permanent fatal errors -----
        <ada@x.example>
        <bo@y.example>

           ----- Transcript of session follows -----
        550 y.example (smtp)... 550 Host unknown
        554 <bo@y.example>... 550 Host unknown (Authoritative answer from name server)
        554 <ada@x.example>... Remote protocol error: Connection reset by peer

           ----- Unsent message follows -----
        """
    _, _, found = read(notice(text))
    assert {(("ada@x.example",), False), (("bo@y.example",), True)} == {(who, bar) for _, who, bar in found}


@pytest.mark.parametrize(("subject", "kind"), [("Undeliverable: Spring", "bounce"), ("Re: Spring", "reply")])
def test_a_postmaster_is_the_system_by_the_subject_and_else_a_person(subject: str, kind: str) -> None:
    raw = notice(
        NOTICES["exim"],
        sender="Postmaster <postmaster@x.example>",
        head=f"Return-Path: <postmaster@x.example>\nIn-Reply-To: {ID}\n",
    )
    assert kind == read(raw.replace(b"failure notice", subject.encode()))[0]


@pytest.mark.parametrize(
    "words",
    [
        "Ihre Nachricht konnte nicht zugestellt werden.",
        "Votre message n'a pas pu être remis.",
        "El mensaje no se ha podido entregar.",
        "Non è stato possibile recapitare il messaggio.",
        "Не удалось доставить сообщение.",
        "次のあて先へのメッセージはエラーのため送信できませんでした。",
        "邮件无法送达。",
    ],
)
def test_mail_systems_write_in_other_languages(words: str) -> None:
    text = f"{words}\n\n<ada@x.example>:\nSorry, no mailbox here by that name. (#5.1.1)\n\n--- copy of the message\n"
    assert [("bounced", ("ada@x.example",), True)] == read(notice(text))[2]


@pytest.mark.parametrize(
    "subject",
    ["Unzustellbar: Spring", "Non remis : Spring", "No se puede entregar: Spring", "配信不能: Spring"],
)
def test_exchange_says_so_in_the_subject(subject: str) -> None:
    raw = notice(NOTICES["exchange"], sender="postmaster@x.example").decode()
    assert "bounce" == read(raw.replace("failure notice", subject).encode())[0]


def test_a_delivery_report_that_is_empty_leaves_it_to_the_words() -> None:
    report = delivery_report(
        "\n",
        returned=COPY,
        notice="Your message could not be delivered to ada@x.example: 550 5.1.1 no such user\n",
    )
    assert ("bounce", [("bounced", ("ada@x.example",), True)]) == read(report)[::2]


def test_exim_names_whom_it_failed_for_in_a_header() -> None:
    raw = notice(
        NOTICES["exim"],
        sender="Mail Delivery <daemon@x.example>",
        head="X-Failed-Recipients: Ada@X.example\n",
    )
    assert [("bounced", ("ada@x.example",), True)] == read(raw)[2]


def test_a_warning_of_gmails_is_a_delay() -> None:
    text = """\
        There was a temporary problem delivering your message to ada@x.example. Gmail will retry for 47 more hours.

        The response was:
        451 4.3.0 later
        """
    assert [("delayed", False)] == [(kind, bar) for kind, _, bar in read(notice(text))[2]]


def test_a_warning_is_a_delay() -> None:
    text = """\
        THIS IS A WARNING MESSAGE ONLY. YOU DO NOT NEED TO RESEND YOUR MESSAGE.
        It could not be delivered for 4 hours to ada@x.example: 451 user unknown. It will be retried for 5 days.
        """
    assert [("delayed", False)] == [(kind, bar) for kind, _, bar in read(notice(text))[2]]


@pytest.mark.parametrize(
    ("sender", "head", "kind"),
    [
        ("Ada <ada@x.example>", "", "other"),
        ("Ada <ada@x.example>", f"In-Reply-To: {ID}\n", "reply"),
        ("Ada <ada@x.example>", f"Return-Path: <ada@x.example>\nIn-Reply-To: {ID}\n", "reply"),
    ],
)
def test_a_person_who_quotes_a_bounce_sends_none(sender: str, head: str, kind: str) -> None:
    assert kind == read(notice(NOTICES["exim"], sender=sender, head=head))[0]


@pytest.mark.parametrize(
    "text",
    [
        "I am away until Monday and cannot be reached.",
        "Thank you, we have got your message.",
        "Ich bin bis Montag nicht zu erreichen: ada@x.example",
    ],
)
def test_who_is_away_is_no_bounce_although_no_report_is_wanted(text: str) -> None:
    raw = notice(text, sender="ada@x.example", head=f"Return-Path: <>\nIn-Reply-To: {ID}\n", copy="")
    assert "auto_reply" == read(raw)[0]


def test_what_comes_to_a_return_path_of_ours_with_a_bounces_words_is_one() -> None:
    path = return_path_of("b@bounces.example", uuid4(), uuid4())
    raw = notice(NOTICES["gmail"], sender="robot@x.example", head=f"Delivered-To: {path}\n")
    assert ("bounce", [("bounced", ("ada@x.example",), True)]) == read(raw)[::2]
    assert "reply" == read_inbound_mail(answer(ID, Delivered_To=path)).kind


def test_what_a_mail_system_says_otherwise_is_nobodys_answer() -> None:
    raw = notice("Your mailbox has moved.", head=f"Return-Path: <>\nIn-Reply-To: {ID}\n", copy="")
    assert "other" == read(raw)[0]


def test_an_id_in_the_copy_is_nobodys_address() -> None:
    """mail.ru's copy begins without a line that says so."""
    notice = NOTICES["exim"].replace("Unrouteable address", "user not found").partition("------")[0]
    raw = (
        "Return-Path: <>\nFrom: mailer-daemon@corp.mail.example\nTo: news@shop.example\nSubject: Mail failure.\n\n"
        f"{dedent(notice)}\nFrom: news@shop.example\nTo: ada@x.example\nMessage-ID: {ID}\n\nHello\n"
    )
    (report,) = read_inbound_mail(raw.encode()).reports
    assert [("ada@x.example",)] == [one.addresses for one in report.recipients]
