"""Random names, subjects, file names, headers and addresses through real SMTP.

Every message arrives once, for whom it was meant, with the headers that were meant and no others, each saying what was
given. `MUSTER_RANDOM_MAILS` says how many messages; each of them is made from its number alone.
"""

from __future__ import annotations

import os
import random
from email import message_from_bytes
from email.policy import SMTP, compat32

import pytest

from engine.channels.port import Delivered
from engine.content.enclosed import Attachment, check_attachment
from engine.content.headers import one_line
from engine.content.templates import CompiledTemplate
from engine.kernel.addresses import normalise_email
from muster_testing.channels import message, run, send_and_close
from tests.content.reader import headers_of, mailboxes_of, parameter_of, text_of

pytestmark = pytest.mark.slow

COUNT = int(os.environ.get("MUSTER_RANDOM_MAILS", "200"))
#: Messages of one template: with one file, and one set of names of headers.
EACH = 20

PIECES = [
    "Ada",
    "Lovelace",
    "O'Neill",
    "Müller & Söhne",
    "株式会社",
    "שלום",
    "مرحبا",
    "🎉",
    "é",
    "ß",
    "\u00a0",
    "\ufeff",
    "\u200b",
    "\u202e",
    "\u2028",
    "\x85",
    "\r\n",
    "\n",
    "\r",
    "\0",
    "\t",
    "\x7f",
    "\x1b[0m",
    " ",
    "  ",
    ",",
    ";",
    ":",
    "<",
    ">",
    "(",
    ")",
    "[",
    "]",
    '"',
    "\\",
    "@",
    ".",
    "\r\n.\r\n",
    "\r\nBcc: evil@example.org",
    "\nSubject: other",
    "\r\n\r\nbody",
    "=?",
    "?=",
    "=?utf-8?q?x=0D=0ABcc=3A_evil=40example.org?=",
    "=?utf-8?b?DQpCY2M6IGV2aWxAZXhhbXBsZS5vcmc=?=",
    "=?utf-16?b?DQAKAA==?=",
    "=?iso-8859-1?q?=A0=22=2C?=",
    "=?x?q?=0A?=",
    "=?utf-8?q?a?= =?utf-8?q?b?=",
    "x" * 80,
    "long words " * 12,
    "é" * 60,
    "%0D%0A",
    "&#13;&#10;",
    "{{ n }}",
    "From: x",
    "<evil@example.org>",
    '", <evil@example.org>, "',
    "--=_",
    "*0*=",
    "utf-8''",
]
REPLY_TO = '"Help, {{ id }}" <help@x.org>, ada@müller.example'
LOCAL = "abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+/=?^_`{|}~-"
DOMAINS = [
    "x.org",
    "sub.x-y.example",
    "müller.example",
    "例え.example",
    "xn--mller-kva.example",
    "a" * 60 + ".example",
]


def text(source: random.Random, most: int = 6) -> str:
    return "".join(source.choice(PIECES) for _ in range(source.randrange(most)))


def address(source: random.Random) -> str:
    dots = ["".join(source.choices(LOCAL, k=source.randint(1, 12))) for _ in range(source.randint(1, 3))]
    return ".".join(dots) + "@" + source.choice(DOMAINS)


def filename(source: random.Random) -> str:
    while True:
        name = text(source) + source.choice([".pdf", "", ".tar.gz", ".PDF "])
        if check_attachment(name, "application/pdf", None) is None:
            return name


def batch(number: int):
    """Messages of one template, and what each of them has to say, by its address."""
    source = random.Random(number)  # noqa: S311 - a seed makes it the same again
    file = Attachment(filename(source), "application/pdf", b"hello")
    template = CompiledTemplate(
        "{{ subject }}",
        "<p>{{ subject }}" if source.random() < 0.5 else None,
        "{{ subject }}\n.\n{{ name }}",
        {},
        {
            "email": "news@shop.example",
            "name": "{{ name }}",
            "reply_to": '"Help, {{ id }}" <help@x.org>, ada@müller.example',
        },
        headers={"X-Note": "{{ note }}"},
        attachments=[file],
    )
    sent, expected = [], {}
    for position in range(EACH):
        given = {"name": text(source), "subject": text(source), "note": text(source), "id": position}
        to = normalise_email(f"n{number}.{position}." + address(source))
        assert to is not None
        sent.append(message(to, content=template.render(given), unsubscribe_url=f"https://x.org/u/{number}"))
        expected[to] = {**given, "file": file.filename}
    return sent, expected


def check(raw: bytes, to: str, given: dict[str, object]) -> None:
    """One message as two readers see it: ours, and Python's."""
    head, _, body = raw.partition(b"\r\n\r\n")
    found = headers_of(head + b"\r\n")
    note = one_line(str(given["note"]))
    assert [name for name, _ in found] == [
        *("MIME-Version", "From", "Reply-To", "To", "Subject", "Date", "Message-ID"),
        *("List-Unsubscribe", "List-Unsubscribe-Post", *(["X-Note"] if note else []), "Content-Type"),
    ]
    values = dict(found)
    assert [(one_line(str(given["name"])), "news@shop.example")] == mailboxes_of(values["From"])
    assert [(f"Help, {given['id']}", "help@x.org"), ("", "ada@xn--mller-kva.example")] == mailboxes_of(
        values["Reply-To"]
    )
    assert to == values["To"]
    assert one_line(str(given["subject"])) == text_of(values["Subject"])
    assert note == text_of(values.get("X-Note", ""))
    start = body.rindex(b"Content-Type: application/pdf")
    block = body[start:].partition(b"\r\n\r\n")[0] + b"\r\n"
    assert given["file"] == parameter_of(dict(headers_of(block))["Content-Disposition"], "filename")
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    for policy in (SMTP, compat32):
        parsed = message_from_bytes(raw, policy=policy)
        assert [name for name, _ in found] == parsed.keys()
        assert not any(part.defects for part in parsed.walk())
        assert b"hello" == list(parsed.walk())[-1].get_payload(decode=True)


def test_every_random_message_arrives_as_it_was_meant(smtp):
    rig = smtp(settings={"command_timeout": 60, "data_timeout": 60})
    for number in range(COUNT // EACH):
        sent, expected = batch(number)
        report = run(send_and_close(rig.channel(), sent))
        assert report.with_outcome(Delivered) == {one.execution_id for one in sent}
        taken = rig.server.messages
        assert sorted(expected) == sorted(one.rcpt for one in taken)
        for one in taken:
            check(one.raw, one.rcpt, expected[one.rcpt])
        taken.clear()
