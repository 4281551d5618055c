"""Ten thousand personalised multipart messages: each parses, and reads as the standard library's own."""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime
from email import message_from_bytes
from email.header import decode_header, make_header
from email.utils import format_datetime
from uuid import UUID

import pytest

from engine.content.enclosed import Attachment
from engine.content.message import Message
from engine.content.mime import MimeBuilder
from engine.content.stored import compile_message
from tests.content.standard import check_the_wire, seen, written

pytestmark = pytest.mark.slow

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
NAMES = [
    "Ada",
    "Zoë",
    "Björn",
    "Łukasz",
    "Мария",
    "山田",
    "O'Neill",
    "<b>Bob</b>",
    "=?utf-8?q?x?=",
    "🎉 Eve",
    "\u0130pek",
]
LINES = [
    ".",
    "..",
    ".hidden",
    "From the start",
    "a" * 1500,
    "é" * 700,
    "--=_x",
    "trailing ",
    "tab\there",
    "=3D",
    "-- ",
]
CITIES = ["Köln", "Paris", "A" * 200, "São Paulo", ""]

TEMPLATE = {
    "subject": "{{ name | possessive }} news from {{ city | default: 'home' }}, {{ day | date: 'long' }}",
    "html": "<h1>Hello {{ name }}</h1>\n<img src='cid:logo'>\n<p>{{ line }}</p>\n<p>{{ sum | currency: 'EUR' }}</p>\n",
    "text": "Hello {{ name }},\n{{ line }}\n{{ sum | currency: 'EUR' }}\n.\n",
    "headers": {"X-Customer": "{{ number }} {{ name }}"},
    "language": "en",
    "translations": {
        "de": {
            "subject": "Neues für {{ name }} aus {{ city }}, {{ day | date: 'full' }}",
            "html": "<p>Hallo {{ name }}, {{ line }}",
        },
        "ja": {"subject": "{{ name }}さん", "text": "{{ line }}\n{{ day | date: 'long' }}\n"},
    },
}
FILES = [
    Attachment("Preisliste é.pdf", "application/pdf", bytes(range(256))),
    Attachment("logo.png", "image/png", b"\x89PNG" * 20, content_id="logo"),
]


def person(number, chance):
    return {
        "name": chance.choice(NAMES),
        "city": chance.choice(CITIES),
        "line": chance.choice(LINES),
        "language": chance.choice(["de", "de-AT", "en-GB", "ja", "fr", None]),
        "time_zone": chance.choice(["Europe/Berlin", "Asia/Tokyo", None]),
        "day": f"2026-0{number % 9 + 1}-1{number % 10}T23:30:00Z",
        "sum": number * 7 / 100,
        "number": number,
    }


def read_by_anybody(raw):
    """Subject, a header and the texts, by the standard library's plain parser."""
    parsed = message_from_bytes(raw)
    headers = [
        str(make_header(decode_header(re.sub(r"\r\n(?=[ \t])", "", parsed[name]))))
        for name in ("Subject", "X-Customer")
    ]
    texts = []
    for part in parsed.walk():
        assert not part.defects, part.defects
        if part.get_content_maintype() == "text" and part.get_filename() is None:
            payload = part.get_payload(decode=True)
            assert isinstance(payload, bytes)
            texts.append(payload.decode().replace("\r\n", "\n"))
    return *headers, texts


def test_ten_thousand_messages_read_as_the_standard_librarys():
    chance = random.Random(4)  # noqa: S311 - the same people every time
    templates = [compile_message(TEMPLATE), compile_message(TEMPLATE, attachments=FILES)]
    builder = MimeBuilder(sender_email="news@x.org", sender_name="Grüße & Co", clock=NOW.timestamp)
    subjects = set()
    for number in range(10_000):
        content = templates[number % 10 == 0].render(person(number, chance))
        one = Message(
            UUID(int=number),
            UUID(int=1),
            UUID(int=2),
            UUID(int=3),
            f"p{number}@x.org",
            content,
            f"https://x.org/u/{number}",
        )
        raw = builder.build(one)
        bodies = [
            text if text.endswith("\n") else f"{text}\n" for text in (content.text, content.html) if text
        ]
        check_the_wire(raw)
        subject, customer, texts = read_by_anybody(raw)
        subjects.add(subject)
        assert (subject, customer) == (content.subject, dict(content.headers)["X-Customer"])
        assert texts == bodies
        if number % 11 == 0:  # the standard library takes milliseconds to write one, and more to read it
            ours = seen(raw)
            standard = seen(written(one, sender=("news@x.org", "Grüße & Co"), date=format_datetime(NOW)))
            if "=?" in content.subject:  # which it leaves as it is, so that a reader decodes it
                standard[0].update({name: ours[0][name] for name in ("subject", "x-customer")})
            assert ours == standard
    assert len(subjects) > 1000
