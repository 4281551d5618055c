"""Mail that comes back, kind by kind: other codes, providers' words, languages, headers and forms than those that any
one case shows. Read as bytes, and classified; what becomes of it is told in test_inbound.
"""

from __future__ import annotations

import base64
import quopri

import pytest

from engine.answers.classify import classifier_of
from engine.inbound.mail_reading import read_inbound_mail

ADA, ID = "ada@mail0.example", "<1.2@muster.example>"
HEAD = f"From: news@shop.example\nTo: {ADA}\nMessage-ID: {ID}\n"
UNKNOWN = "smtp; 550 5.1.1 unknown"
PER_MESSAGE = "Reporting-MTA: dns; mx.example\n\n"


def report(fields: str, *, kind: str = "message/delivery-status", encoding: str = "") -> bytes:
    """A delivery report with these fields."""
    if encoding == "base64":
        fields = base64.encodebytes(fields.encode()).decode()
    elif encoding:
        fields = quopri.encodestring(fields.encode()).decode()
    coded = f"Content-Transfer-Encoding: {encoding}\n" if encoding else ""
    return (
        "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example\nTo: news@shop.example\nSubject: Undelivered Mail\n"
        'MIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status; boundary="B"\n\n'
        "--B\nContent-Type: text/plain\n\nIt could not be delivered.\n\n"
        f"--B\nContent-Type: {kind}\n{coded}\n{fields}\n--B\nContent-Type: text/rfc822-headers\n\n{HEAD}\n--B--\n"
    ).encode()


def recipient(
    status: str | None = "5.1.1",
    diagnostic: str = UNKNOWN,
    action: str | None = "failed",
    final: str = f"rfc822; {ADA}",
) -> str:
    """The fields of a delivery report about one recipient."""
    lines = [PER_MESSAGE + f"Final-Recipient: {final}"]
    lines += [f"Action: {action}"] if action is not None else []
    lines += [f"Status: {status}"] if status is not None else []
    lines += [f"Diagnostic-Code: {diagnostic}"] if diagnostic else []
    return "\n".join(lines) + "\n"


def written(
    headers: str = "", *, subject: str = "Re: Spring", sender: str = ADA, kind: str = "", body: str = "Hello"
) -> bytes:
    """What somebody, or something, answers to a message of ours."""
    return (
        f"In-Reply-To: {ID}\n{headers}{chr(10) if headers else ''}From: {sender}\nTo: news@shop.example\n"
        f"Subject: {subject}\nMIME-Version: 1.0\nContent-Type: {kind or 'text/plain; charset=utf-8'}\n\n{body}\n"
    ).encode()


def complaint(kind: str = "abuse", *, part: str = "message/feedback-report", encoding: str = "") -> str:
    """A feedback report."""
    fields = f"Feedback-Type: {kind}\nUser-Agent: X/1\nVersion: 1\n"
    if encoding:
        fields = base64.encodebytes(fields.encode()).decode()
        part += "\nContent-Transfer-Encoding: base64"
    return (
        "From: fbl@isp.example\nTo: news@shop.example\nSubject: FW\nMIME-Version: 1.0\n"
        'Content-Type: multipart/report; report-type=feedback-report; boundary="A"\n\n'
        f"--A\nContent-Type: text/plain\n\nreport\n--A\nContent-Type: {part}\n\n{fields}\n"
        f"--A\nContent-Type: message/rfc822\n\n{HEAD}\nHello\n--A--\n"
    )


def jmrp(
    *, outer: bool = True, inner: bool = True, sender: str = "staff@hotmail.example", subject: str = ""
) -> str:
    """A complaint as Microsoft forwards it, and as those do who took after it."""
    mark = f"X-HmXmrOriginalRecipient: {ADA}\n"
    return (
        f"{mark if outer else ''}From: {sender}\nTo: news@shop.example\n"
        f"Subject: {subject or 'complaint about message from 192.0.2.9'}\nMIME-Version: 1.0\n"
        'Content-Type: multipart/mixed; boundary="A"\n\n--A\nContent-Type: message/rfc822\n\n'
        f"{mark if inner else ''}{HEAD}\nHello\n--A--\n"
    )


def forwarded(message: str, *, kind: str = "message/rfc822", times: int = 1) -> bytes:
    """The same, handed on as an attachment."""
    for number in range(times):
        message = (
            "From: abuse@shop.example\nTo: news@shop.example\nSubject: Fwd: this\nMIME-Version: 1.0\n"
            f'Content-Type: multipart/mixed; boundary="F{number}"\n\n--F{number}\nContent-Type: text/plain\n\nsee\n'
            f"--F{number}\nContent-Type: {kind}\n\n{message}\n--F{number}--\n"
        )
    return message.encode()


def outcome(raw: bytes) -> str:
    """What it is, and of a bounce whether it bars the address."""
    found = read_inbound_mail(raw.replace(b"\n", b"\r\n"))
    if not found.reports:
        return found.kind
    (told,) = found.reports[0].recipients or [None]
    if told is None:
        return found.reports[0].kind
    assert ADA in told.addresses
    bars = told.answer is not None and classifier_of().classify(told.answer).bar
    return f"{told.kind}, barred" if bars and told.kind == "bounced" else told.kind


@pytest.mark.parametrize(
    ("status", "diagnostic"),
    [
        *(
            ("5.0.0", text)
            for text in (
                "550 5.7.1 Service unavailable, Client host [192.0.2.1] blocked using Spamhaus",
                "554 5.7.1 Message rejected due to content restrictions",
                "554 Denied by policy",
                "550 DMARC check failed",
                "550 Too many messages from your IP, try later",
                "421 Too many concurrent SMTP connections",
                "452 4.2.2 mailbox over quota",
                "552 Requested mail action aborted: exceeded storage allocation",
                "554 5.4.6 Too many hops 26 (25 max)",
                "550 5.4.312 Message expired, DNS query failed",
                "554 refused connection from 5.1.1.7",
                "550 rejected by Exim 5.1.1",
                "host mx.example[5.1.1.1] said: 554 rejected",
                "550 version 5.1.1 of the protocol is unsupported",
                "550 Verification failed for <news@shop.example> No such user here Sender verify failed",
            )
        ),
        *(
            ("5.1.1", text)
            for text in (
                "550 5.7.509 Access denied, sending domain shop.example does not pass DMARC verification",
                "550 5.1.1 sorry, your IP 203.0.113.5 has been blacklisted",
                "550 5.1.1 The email account that you tried to reach is over quota",
                "550 5.1.1 too many recipients received this hour",
                "550 5.1.8 Access denied, bad outbound sender AS(42003)",
                "550 5.1.1 Reverse DNS of your server does not exist",
                "554 delivery error: dd Message temporarily deferred due to user complaints - 4.16.55.1",
                "550 SC-001 (COL004) Unfortunately, messages from 203.0.113.3 weren't sent",
                "550 5.1.1 sender verify failed",
                "451 4.7.1 Greylisting in action",
                "550 5.1.1 Postfach voll",
                "550 5.1.1 Boîte de réception pleine",
                "550 5.1.1 La casella è piena",
                "550 5.1.1 buzón lleno",
                "550 5.1.1 почтовый ящик переполнен",
            )
        ),
        ("5.2.1", "450-4.2.1 The user you are trying to contact is receiving mail too quickly"),
        ("5.2.0", "550 5.2.0 STOREDRV.Deliver.Exception:QuotaExceededException"),
        ("5.1.8", "501 5.1.8 Domain of sender address news@shop.example does not exist"),
        ("5.7.133", "550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup"),
        ("5.4.5", "550 5.4.5 Daily user sending limit exceeded"),
        ("4.4.7", "550 4.4.7 QUEUE.Expired; message expired"),
        ("5.4.7", "554 5.4.7 delivery expired (message too old)"),
    ],
)
def test_what_is_not_said_of_the_address_bars_nobody(status: str, diagnostic: str) -> None:
    assert "bounced" == outcome(report(recipient(status, f"smtp; {diagnostic}")))


@pytest.mark.parametrize(
    ("status", "diagnostic"),
    [
        *(
            ("5.0.0", text)
            for text in (
                "550 No such user here",
                "550 5.1.1 The email account that you tried to reach does not exist",
                "550 Mailbox not found",
                "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
                "554 delivery error: dd This user doesn't have a yahoo.com account (a@yahoo.com) [0]",
                "554 30 Sorry, your message to x cannot be delivered. This mailbox is disabled (554.30).",
                "550 this account has been suspended",
                "550 sorry, no mailbox here by that name. (#5.1.1)",
                "553 5.3.0 <ada@mail0.example>... No such user",
                "550 Empfänger unbekannt",
                "550 Utilisateur inconnu",
                "550 El usuario no existe",
            )
        ),
        ("5.2.1", "550 5.2.1 mailbox is inactive"),
        ("5.1.0", "550 5.1.0 no such user"),
        ("5.1.6", "550 5.1.6 recipient no longer on server"),
        ("5.1.1", ""),
    ],
)
def test_nobody_there_bars_however_it_is_said(status: str, diagnostic: str) -> None:
    assert "bounced, barred" == outcome(
        report(recipient(status, f"smtp; {diagnostic}" if diagnostic else ""))
    )


@pytest.mark.parametrize(
    "fields",
    [
        *(
            recipient(action=action)
            for action in (
                "FAILED",
                "failure",
                "failed (x (y))",
                "undeliverable",
                "gave-up",
                "deliverd",
                "",
                None,
            )
        ),
        *(recipient(status) for status in ("5.1.1 (bad destination)", "(x) 5.1.1", "#5.1.1", "5.1.1;")),
        *(
            recipient(final=final)
            for final in (
                f"RFC822;{ADA}",
                f"rfc822; <{ADA}>",
                ADA,
                f"smtp; {ADA}",
                f"rfc822;\n {ADA}",
                f"utf-8; {ADA.upper()}",
            )
        ),
        PER_MESSAGE + f"final-recipient: rfc822;{ADA}\naction: failed\nstatus: 5.1.1\n",
        PER_MESSAGE + f"Final-Recipient: rfc822;{ADA}\n\nAction: failed\n\nStatus: 5.1.1\n",
        f"Reporting-MTA: dns; mx.example\nFinal-Recipient: rfc822;{ADA}\nAction: failed\nStatus: 5.1.1\n",
        PER_MESSAGE
        + f"Diagnostic-Code: smtp; 550 no\nError: user: unknown\nFinal-Recipient: {ADA}\nAction: failed\nStatus: 5.1.1",
        PER_MESSAGE + f"Original-Recipient: rfc822;{ADA}\nAction: failed\nStatus: 5.1.1\n",
        PER_MESSAGE + f"Final-Recipient: rfc822;{ADA}\nDiagnostic-Code: {UNKNOWN}\n",
        PER_MESSAGE + "Original-Recipient: rfc822;ada+40mail0.example\nAction: failed\nStatus: 5.1.1\n",
    ],
)
@pytest.mark.parametrize(
    ("kind", "encoding"),
    [
        ("message/delivery-status", ""),
        ("Message/Delivery-Status; charset=utf-8", "base64"),
        ("message/global-delivery-status", "quoted-printable"),
        ('application/octet-stream; name="details.txt"', "base64"),
    ],
)
def test_a_report_is_read_however_it_is_written(fields: str, kind: str, encoding: str) -> None:
    assert "bounced, barred" == outcome(report(fields, kind=kind, encoding=encoding))


def test_two_recipients_of_one_report_stay_apart() -> None:
    """Also where blank lines stand between the fields of one."""
    two = PER_MESSAGE + "".join(
        f"Final-Recipient: rfc822;{name}@x.example\n\nAction: failed\nStatus: {status}\n\n"
        for name, status in (("a", "5.1.1"), ("b", "5.2.2"))
    )
    (found,) = read_inbound_mail(report(two)).reports
    assert [(("a@x.example",), "5.1.1"), (("b@x.example",), "5.2.2")] == [
        (one.addresses, one.status) for one in found.recipients
    ]


@pytest.mark.parametrize(
    ("action", "kind"),
    [("delayed", "delayed"), ("deferred", "delayed"), (None, "delayed"), ("relayed (x)", "delivered")],
)
def test_an_action_says_no_more_than_it_means(action: str | None, kind: str) -> None:
    assert kind == outcome(report(recipient("4.4.1", "smtp; 451 later", action)))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        *((kind, "complained") for kind in ("Abuse", "fraud", "other", "abuse (spam)")),
        *(
            (kind, "other")
            for kind in ("auth-failure", "dkim", "dmarc", "virus", "not-spam", "something", "")
        ),
    ],
)
def test_a_type_of_feedback_is_a_complaint_or_is_none(kind: str, expected: str) -> None:
    for raw in (
        complaint(kind).encode(),
        complaint(kind, encoding="base64").encode(),
        forwarded(complaint(kind)),
        forwarded(complaint(kind), times=2),
        forwarded(complaint(kind), kind='application/octet-stream; name="this.eml"'),
        forwarded(complaint(kind), kind='text/plain\nContent-Disposition: attachment; filename="this.eml"'),
    ):
        assert expected == outcome(raw)


@pytest.mark.parametrize(
    "message",
    [
        jmrp(),
        jmrp(outer=False),
        jmrp(inner=False),
        jmrp(outer=False, inner=False, sender="Hotmail <staff@hotmail.com>"),
        jmrp(
            outer=False,
            inner=False,
            sender="staff@hotmail.com",
            subject="=?utf-8?q?complaint_about_message_from_x?=",
        ),
        jmrp(outer=False, inner=False, sender="complaints@email-abuse.amazonses.com"),
        jmrp(
            outer=False, inner=False, sender="scomp@aol.net", subject="Email Feedback Report for IP 192.0.2.1"
        ),
    ],
)
def test_providers_own_forms_are_complaints(message: str) -> None:
    assert {"complained"} == {outcome(message.encode()), outcome(forwarded(message))}


def test_a_person_who_attaches_our_message_answers() -> None:
    for subject in ("a question", "complaint about message from you"):
        message = jmrp(outer=False, inner=False, sender=ADA, subject=subject)
        assert "reply" == outcome(f"In-Reply-To: {ID}\n{message}".encode())


@pytest.mark.parametrize(
    "headers",
    [
        *("X-Autorespond: Spring", "X-Auto-Reply: yes", "X-AutoReply-From: a@b", "X-Autogenerated: Reply"),
        *("X-Automated-Response: 1", "X-Out-Of-Office: 1", "X-Away-Message: 1", "X-Cron-Env: <X=1>"),
        *(
            "X-Auto-Response-Suppress: DR, OOF, AutoReply",
            "X-Loop: autoreply@x.example",
            "X-Responder: vacation",
        ),
        *("Precedence: auto_reply", "Precedence: bulk", "Auto-Submitted: AUTO-REPLIED (vacation); x=y"),
        *(
            "Auto-Submitted: (comment) auto-generated",
            "Delivered-To: auto-responder",
            "X-Original-To: autoreply",
        ),
        *("Return-Path: < >", "Return-path: <MAILER-DAEMON@x.example>", "X-FC-MachineGenerated: true"),
        *(
            "X-Kopano-Vacation: yes",
            "X-MS-Exchange-Generated-Message-Source: Mailbox Rules Agent",
            "X-ChoiceMail-Registration-Request: 1",
            "X-Delivery-Agent: TMDA/1.1.12",
            "X-AskVersion: 2.5.0",
            "Sender: notifications@boxbe.com",
        ),
    ],
)
def test_programs_say_so_in_headers(headers: str) -> None:
    assert "auto_reply" == outcome(written(headers))


@pytest.mark.parametrize(
    "headers",
    [
        *(
            "Auto-Submitted: no (really (nested))",
            "Auto-Submitted: (x) no",
            "Auto-Submitted: no; owner-email=x",
        ),
        *(
            "X-Autoreply: no",
            "X-Auto-Response-Suppress: None",
            "Precedence: list",
            "Return-Path: <ada@mail0.example>",
        ),
        *(
            "X-Original-To: automotive@shop.example",
            "X-Mailer: Automail",
            "X-Spam-Autolearn: no",
            "X-Loop: news@shop.example",
        ),
    ],
)
def test_a_persons_headers_say_nothing_of_the_kind(headers: str) -> None:
    assert "reply" == outcome(written(headers))


@pytest.mark.parametrize(
    "subject",
    [
        *(
            "Automatic Reply: x",
            "Out of Office Re: Spring",
            "OOO: x",
            "[Automatic reply] x",
            "Automated response: x",
        ),
        *(
            "Out of office until 5 March",
            "Ada Lovelace is out of the office (returning 02.03.2026)",
            "AUTO: Re: Spring",
        ),
        *(
            "I am out of the office Re: Spring",
            "Auto-Response from Ada",
            "Thank you for your message (automatic reply)",
        ),
        *(
            "Abwesenheitsmeldung: x",
            "Im Urlaub: x",
            "Réponse automatique : x",
            "Absent(e) : x",
            "Risposta automatica: x",
        ),
        *(
            "Respuesta automática: x",
            "Ausencia: x",
            "Resposta automática: x",
            "Afwezigheidsmelding: x",
            "Automatisk svar: x",
        ),
        *(
            "Ikke på kontoret: x",
            "Poissa: x",
            "Nieobecność: x",
            "Automatická odpověď: x",
            "Automatikus válasz: x",
        ),
        *(
            "Отсутствие на работе: x",
            "Αυτόματη απάντηση: x",
            "Ofis dışında: x",
            "不在のお知らせ: x",
            "自动答复：x",
        ),
        *(
            "자동 회신: x",
            "תגובה אוטומטית: x",
            "رد تلقائي: x",
            "ตอบกลับอัตโนมัติ: x",
            "Trả lời tự động: x",
            "Balasan otomatis: x",
        ),
        "=?iso-8859-1?q?R=E9ponse_automatique=3A?= x",
    ],
)
def test_programs_subjects_in_the_usual_languages(subject: str) -> None:
    assert "auto_reply" == outcome(written(subject=subject))


@pytest.mark.parametrize(
    "subject",
    [
        *(
            "Re: Automatic reply",
            "Automatic reply settings?",
            "Out of office furniture",
            "Vacation in Spain",
            "Auto",
        ),
        *(
            "Re: Autoreply: why?",
            "Fwd: Out of Office: x",
            "Urlaub in Spanien",
            "On holiday in June: can you change it?",
        ),
        *(
            "Auto insurance: question",
            "Is the office out of stock?",
            "Abwesenheit am Montag wegen Messe",
            "Read: Spring",
        ),
    ],
)
def test_a_person_may_write_about_such_things(subject: str) -> None:
    assert "reply" == outcome(written(subject=subject))


def test_a_filter_that_asks_for_a_proof_is_no_person() -> None:
    """Whoever asks how such a filter works is one."""
    asks = "To have it delivered, please verify yourself: https://www.spamarrest.com/a2?AQVjZ"
    for subject in ("Please confirm your message", "Please confirm (conf#3ed05a)", "AntiSpam UOL » MSG: x"):
        assert "auto_reply" == outcome(written(subject=subject))
    assert "auto_reply" == outcome(written(subject="Re: Spring (verification)", body=asks))
    assert "reply" == outcome(
        written(subject="Please confirm your messages", body="Is boxbe.com of any use?")
    )


@pytest.mark.parametrize("disposition", ["displayed", "deleted", "dispatched", "denied", "failed"])
@pytest.mark.parametrize(
    "part", ["message/disposition-notification", "Message/Global-Disposition-Notification"]
)
def test_a_receipt_is_a_programs(disposition: str, part: str) -> None:
    body = (
        f"--M\nContent-Type: {part}\n\nDisposition: manual-action/MDN-sent-manually; {disposition}\n\n--M--"
    )
    for kind in ("multipart/report; report-type=disposition-notification", "multipart/mixed"):
        assert "auto_reply" == outcome(
            written(kind=f'{kind}; boundary="M"', subject="Read: Spring", body=body)
        )


@pytest.mark.parametrize(
    "subject",
    ["Fwd: Returned mail: see transcript for details", "WG: Undeliverable: Spring", "TR: Re: Spring"],
)
def test_a_bounce_that_is_forwarded_in_the_text_is_nobodys_answer(subject: str) -> None:
    """Nor a report: anybody can write one there. What else is forwarded is an answer."""
    quoted = "Look:\n\n> From: Mail Delivery Subsystem <MAILER-DAEMON>\n> <ada@mail0.example>: 550 5.1.1 User unknown\n"
    assert "other" == outcome(written(subject=subject, body=quoted))
    assert "reply" == outcome(
        written(subject="Fwd: Re: Spring", body="> From: Ada <ada@mail0.example>\n> yes")
    )
