"""Delivery reports however they are written: each says of whom, what happened, and in the server's words."""

from __future__ import annotations

import base64
import quopri
from typing import TYPE_CHECKING

import pytest

from engine.answers.classify import classifier_of
from engine.inbound.mail_reading import read_inbound_mail
from tests.tracking.letters import block, delivery_report, original

if TYPE_CHECKING:
    from collections.abc import Callable

ID = "<1.2@muster.example>"


def the_report(raw: bytes):
    mail = read_inbound_mail(raw)
    assert "bounce" == mail.kind
    (report,) = mail.reports
    (recipient,) = report.recipients
    return recipient


def bars(recipient) -> bool:
    return recipient.kind == "bounced" and classifier_of().classify(recipient.answer).bar


def test_a_delivery_report_says_who_why_and_which_message() -> None:
    link = "https://muster.example/u/abc"
    mail = read_inbound_mail(delivery_report(block(), returned=original(message_id=ID, unsubscribe=link)))
    (report,) = mail.reports
    (recipient,) = report.recipients
    assert ("bounced", ("ada@x.example",), "5.1.1") == (recipient.kind, recipient.addresses, recipient.status)
    assert recipient.is_permanent
    assert "User unknown" in str(recipient.reason)
    assert ((ID,), (link,)) == (report.traces.message_ids, report.traces.unsubscribe)


@pytest.mark.parametrize(
    "part", ["text/rfc822-headers", "message/rfc822-headers", "message/rfc822", "message/global-headers"]
)
def test_the_message_comes_back_whole_or_in_part(part: str) -> None:
    mail = read_inbound_mail(delivery_report(block(), returned=original(message_id=ID), part=part))
    assert (ID,) == mail.reports[0].traces.message_ids


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"status": "4.4.1", "diagnostic": "smtp; timed out"}, ("bounced", "4.4.1", False)),
        (
            {"action": "delayed", "status": "4.4.7", "diagnostic": "smtp; 451 later"},
            ("delayed", "4.4.7", False),
        ),
        (
            {"action": "delivered", "status": "2.0.0", "diagnostic": "smtp; 250 ok"},
            ("delivered", "2.0.0", False),
        ),
        (
            {"action": "relayed", "status": "2.0.0", "diagnostic": "smtp; 250 ok"},
            ("delivered", "2.0.0", False),
        ),
        (
            {"action": "Expanded (to a list)", "status": "2.0.0", "diagnostic": "x"},
            ("delivered", "2.0.0", False),
        ),
        ({"status": "5.0.0"}, ("bounced", "5.1.1", True)),
        ({"action": "FAILED", "status": "", "diagnostic": "smtp; 550 no such user"}, ("bounced", None, True)),
        ({"status": "", "diagnostic": "x"}, ("bounced", None, True)),
        (
            {"action": "undeliverable", "status": "5.2.2", "diagnostic": "smtp; 552 full"},
            ("bounced", "5.2.2", True),
        ),
        ({"action": "expired (4 days)", "status": "", "diagnostic": "gave up"}, ("bounced", None, True)),
        (
            {"action": "processed", "status": "4.4.7", "diagnostic": "smtp; 451 x"},
            ("delayed", "4.4.7", False),
        ),
        (
            {"action": "processed", "status": "5.4.7 (too late)", "diagnostic": "x"},
            ("bounced", "5.4.7", True),
        ),
    ],
)
def test_what_it_comes_to(given: dict[str, str], expected: tuple[str, str | None, bool]) -> None:
    recipient = the_report(delivery_report(block(**given)))
    assert expected == (recipient.kind, recipient.status, recipient.is_permanent)


@pytest.mark.parametrize("action", ["processed", "queued", ""])
def test_an_action_that_nobody_knows_is_never_delivered(action: str) -> None:
    mail = read_inbound_mail(delivery_report(block(action=action, status="2.0.0", diagnostic="smtp; 250 ok")))
    assert [] == [one for report in mail.reports for one in report.recipients]


@pytest.mark.parametrize(
    ("fields", "bar"),
    [
        ("Final-Recipient: rfc822; ada@x.example\nStatus: 5.1.1\n", True),
        ("final-recipient:rfc822;<Ada@X.example>\nACTION:failed\nSTATUS:5.1.1 (unknown)\n", True),
        (
            (
                "Final-Recipient: rfc822; ada@x.example\nAction: failed\nStatus: 5.0.0\n"
                "Diagnostic-Code: smtp; 550 5.1.1\n unknown\n"
            ),
            True,
        ),
        (
            (
                "Diagnostic-Code: smtp; 554-No\n554-such mailbox\n554 5.1.1: really\nStatus: 5.1.1\nAction: failed\n"
                "Final-Recipient: rfc822; ada@x.example\n"
            ),
            True,
        ),
        ("Final-Recipient: rfc822; ada@x.example\n\nAction: failed\nStatus: 5.1.1\n", True),
        (
            "Final-Recipient: ada@x.example\nAction: failed\nStatus: 5.7.1\nDiagnostic-Code: 550 5.1.1 unknown\n",
            True,
        ),
        ("Final-Recipient: utf-8; ada@x.example\nAction: failed\nStatus: 5.1.1\n", True),
        (
            "Final-Recipient: rfc822; ada@x.example\nAction: failed\nDiagnostic-Code: x-unix; user unknown\n",
            True,
        ),
        (
            "Final-Recipient: rfc822; ada@x.example\nAction: failed\nDiagnostic-Code: X-Postfix; mail loops back\n",
            False,
        ),
        (
            (
                "Final-Recipient: rfc822; ada@x.example\nAction: failed\nStatus: 5.0.0\n"
                "Diagnostic-Code: smtp; =?utf-8?b?NTUwIEVtcGbDpG5nZXIgdW5iZWthbm50?=\n"
            ),
            True,
        ),
        (
            (
                'Final-Recipient: rfc822; ada@x.example\nAction: "failed"\nStatus: 5. 1. 1\n'
                "Diagnostic-Code: smtp; 550 5.1.1 unknown\n"
            ),
            True,
        ),
        ("Final-Recipient: rfc822; ada@x.example\nAction: failed\nStatus: 5.0.0\n", False),
        (
            "Final-Recipient: rfc822; ada@x.example\nAction: failed\nStatus: 5.0.0\nDiagnostic-Code: x; no\n",
            False,
        ),
    ],
)
def test_damage_costs_nothing_but_itself(fields: str, bar: bool) -> None:
    recipient = the_report(delivery_report(fields))
    assert ("bounced", ("ada@x.example",), bar) == (recipient.kind, recipient.addresses, bars(recipient))


@pytest.mark.parametrize("ends", [b"\n", b"\r\n", b"\r", b"\r\r\n"])
@pytest.mark.parametrize(
    "begins", [b"", b"\xef\xbb\xbf", b"\r\n\r\n", b"From MAILER-DAEMON Mon Mar  2 09:00:00 2026\n"]
)
def test_line_ends_and_what_stands_in_front_cost_nothing(begins: bytes, ends: bytes) -> None:
    raw = delivery_report(block(), returned=original(message_id=ID))
    mail = read_inbound_mail(begins + raw.replace(b"\r\n", ends))
    assert bars(the_report(begins + raw.replace(b"\r\n", ends)))
    assert (ID,) == mail.reports[0].traces.message_ids


@pytest.mark.parametrize("kind", ["message/delivery-status", "message/global-delivery-status"])
@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "8bit"])
def test_a_report_may_be_encoded_and_in_utf8(kind: str, encoding: str) -> None:
    fields = (
        "Reporting-MTA: dns; mx.x.example\n\nOriginal-Recipient: utf-8; ada@müller.example\n"
        "Final-Recipient: rfc822; ada@xn--mller-kva.example\nAction: failed\nStatus: 5.1.1\n"
        "Diagnostic-Code: smtp; 550 5.1.1 Postfach für Ada gibt es nicht\n"
    ).encode()
    encodings: dict[str, Callable[[bytes], bytes]] = {
        "base64": base64.encodebytes, "quoted-printable": quopri.encodestring, "8bit": bytes,
    }  # fmt: skip
    coded = encodings[encoding](fields)
    raw = delivery_report(block()).decode()
    start, end = raw.index("Content-Type: message/delivery-status"), raw.index("--=_b--")
    head = f"Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    recipient = the_report(raw[:start].encode() + head.encode() + coded + b"\r\n" + raw[end:].encode())
    assert ("ada@xn--mller-kva.example",) == recipient.addresses
    assert "für Ada" in str(recipient.reason)
    assert bars(recipient)


def test_an_address_is_named_as_it_was_sent_to_and_as_it_arrived() -> None:
    fields = (
        "Original-Recipient: rfc822;ada+2Bnews@x.example\nFinal-Recipient: rfc822;a.l@inner.x.example\n"
        "Action: failed\nStatus: 5.1.1\n"
    )
    recipient = the_report(delivery_report(fields))
    assert {"ada+news@x.example", "a.l@inner.x.example"} <= set(recipient.addresses)


def test_a_report_may_be_about_several() -> None:
    mail = read_inbound_mail(delivery_report(block(), "\n" + block("bo@x.example", status="4.2.2")))
    (report,) = mail.reports
    assert [("ada@x.example",), ("bo@x.example",)] == [one.addresses for one in report.recipients]


def test_the_words_for_people_count_where_there_is_no_diagnostic() -> None:
    for words, bar in (("Unrouteable address", True), ("retry timeout exceeded", False)):
        raw = delivery_report(
            "Final-Recipient: rfc822;ada@x.example\nAction: failed\nStatus: 5.0.0\n",
            notice=f"It failed:\n\n  ada@x.example\n    {words}\n",
        )
        assert bar is bars(the_report(raw))


def test_a_link_that_was_folded_on_the_way_is_whole_again() -> None:
    folded = original().rstrip() + "\nList-Unsubscribe:\n <https://muster.example/u/abc\n def>\n"
    mail = read_inbound_mail(delivery_report(block(), returned=folded))
    assert ("https://muster.example/u/abcdef",) == mail.reports[0].traces.unsubscribe


def lost_parts(raw: bytes) -> bytes:
    """As a gateway passes it on that takes the lines between the parts away."""
    return b"\r\n".join(
        line
        for line in raw.split(b"\r\n")
        if not line.startswith((b"--=_b", b"Content-Type: text", b"Content-Type: message"))
    )


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw.replace(b'boundary="=_b"', b'boundary="another"'),
        lambda raw: raw.replace(b'; boundary="=_b"', b""),
        lost_parts,
        lambda raw: (
            raw.replace(b"\r\nFinal-", b"\r\n    Final-")
            .replace(b"\r\nAction", b"\r\n    Action")
            .replace(b"\r\nStatus", b"\r\n    Status")
            .replace(b"\r\nDiagnostic", b"\r\n    Diagnostic")
        ),
        lambda raw: (
            raw.replace(b"\r\nStatus", b"\r\n\tStatus")
            .replace(b"\r\nFinal-", b"\r\n\tFinal-")
            .replace(b"\r\nAction", b"\r\n\tAction")
            .replace(b"\r\nDiagnostic-Code: smtp; ", b"\r\n\tDiagnostic-Code: smtp;\r\n\t\t")
        ),
    ],
    ids=["another boundary", "no boundary", "parts lost", "indented", "indented and folded"],
)
def test_a_report_whose_form_is_damaged_is_read(damage) -> None:
    """Also the message of ours that it returns."""
    raw = delivery_report(block(), returned=original(message_id=ID))
    mail = read_inbound_mail(damage(raw))
    recipient = the_report(damage(raw))
    assert ("bounced", ("ada@x.example",), "5.1.1") == (recipient.kind, recipient.addresses, recipient.status)
    assert bars(recipient)
    assert ID in mail.reports[0].traces.message_ids


def test_words_of_the_notice_are_of_one_recipient_each() -> None:
    """OpenSMTPD says 5.0.0 of everybody, and tells them apart in the part for people alone."""
    notice = "a@x.example: 550 5.1.1 <a@x.example>: User unknown\nb@x.example: 552 5.2.2 Mailbox full\n"
    blocks = [f"Final-Recipient: rfc822; {name}@x.example\nAction: failed\nStatus: 5.0.0\n" for name in "ab"]
    (report,) = read_inbound_mail(delivery_report(*blocks, notice=notice)).reports
    assert [("5.1.1", True), ("5.2.2", False)] == [(one.status, bars(one)) for one in report.recipients]


def test_japanese_is_read_whatever_is_declared() -> None:
    """Seven bits with shifts, in a part that says nothing of a charset (Domino)."""
    words = "X-Notes; ユーザー Ada は Domino ディレクトリには見つかりません。"
    fields = (
        f"Final-Recipient: rfc822; ada@x.example\nAction: failed\nStatus: 5.0.0\nDiagnostic-Code: {words}\n"
    )
    raw = delivery_report(fields).decode().encode("iso2022_jp")
    assert bars(the_report(raw))


def test_qmails_paragraphs_are_of_one_recipient_each() -> None:
    """Also where a line of one begins like the header of a message."""
    notice = "".join(
        f"<{name}@x.example>:\nFrom: <b@shop.example> RCPT: <{name}@x.example> 192.0.2.25 does not like recipient.\n"
        f"Remote host said: {said}\nGiving up on 192.0.2.25.\n\n"
        for name, said in (("a", "552 5.2.2 mailbox full"), ("b", "550 5.1.1 User unknown"))
    )
    raw = (
        "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example\nSubject: failure notice\n\n"
        "Hi. This is the qmail-send program.\n"
        f"I'm afraid I wasn't able to deliver your message to the following addresses.\n\n{notice}"
        f"--- Enclosed is a copy of the message.\n\nMessage-ID: {ID}\nSubject: x\n"
    )
    (report,) = read_inbound_mail(raw.replace("\n", "\r\n").encode()).reports
    found = {one.addresses[0]: (one.status, bars(one)) for one in report.recipients}
    assert {"a@x.example": ("5.2.2", False), "b@x.example": ("5.1.1", True)} == found
