"""Whatever bytes come in, they are read or refused, soon."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.inbound.mail_reading import Unreadable, read_inbound_mail
from engine.inbound.mime_parts import parse_message
from tests.tracking.letters import answer, attached, block, complaint, delivery_report, original
from tests.tracking.test_prose_bounces import NOTICES, notice

ID = "<1.2@muster.example>"
SAMPLES = [
    delivery_report(block(), returned=original(message_id=ID, unsubscribe="https://m.example/u/x")),
    complaint(returned=original(message_id=ID)),
    answer(ID, Subject="=?utf-8?q?Fr=C3=BChling?="),
    attached(original(message_id=ID), sender="ada@x.example", subject="Fwd"),
    *(notice(text) for text in NOTICES.values()),
]
PIECES = st.sampled_from(
    [
        *(
            b"\r\n",
            b"\n\n",
            b"\r",
            b"\x00",
            b"\xff\xfe",
            b"(",
            b"((",
            b'"',
            b"\\",
            b"<",
            b"@",
            b"\\x{110000}",
        ),
        *(
            b"=?utf-7?b?2D8=?=",
            b"=?x?q?=?=",
            b"; charset=idna\n",
            b"Action: \xe2\x80\xa8\n",
            b"Status: 9.9.9\n",
        ),
        *(b"--=_b\n", b"--=_b--\n", b"Content-Transfer-Encoding: base64\n"),
        *(b"Content-Type: multipart/mixed; boundary=\n", b"Content-Type: message/rfc822\n\n"),
    ]
)


def check(raw: bytes) -> None:
    """It is read or refused, and nothing in it is more than a database and a person can read."""
    try:
        mail = read_inbound_mail(raw)
    except Unreadable:
        return
    texts = [mail.subject]
    for report in mail.reports:
        for one in report.recipients:
            texts += [one.reason or "", one.complaint_type or "", *one.addresses, one.status or ""]
    for text in texts:
        assert "\x00" not in text
        text.encode()


@settings(max_examples=250, deadline=None)
@given(st.sampled_from(SAMPLES), st.integers(0, 2000), st.integers(0, 300), PIECES | st.binary(max_size=40))
def test_whatever_becomes_of_it_on_the_way(raw: bytes, at: int, length: int, instead: bytes) -> None:
    check(raw[:at] + instead + raw[at + length :])


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from(SAMPLES).map(lambda raw: raw[:200]) | PIECES | st.binary(max_size=60), max_size=12
    )
)
def test_whatever_bytes(pieces: list[bytes]) -> None:
    check(b"".join(pieces))


@pytest.mark.parametrize("raw", [b"", b"\r\n\r\n", b"just text", b"\x00\xff" * 100])
def test_what_is_no_message_is_refused(raw: bytes) -> None:
    with pytest.raises(Unreadable):
        read_inbound_mail(raw)


_HEAD = b"From: mailer-daemon@x.example\r\nReturn-Path: <>\r\n"


@pytest.mark.parametrize(
    "raw",
    [
        b"".join(b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (i, i) for i in range(3000)),
        b"Content-Type: message/rfc822\r\n\r\n" * 5000,
        _HEAD + b"To: " + b"(" * 2_000_000 + b"\r\n\r\nx",
        _HEAD + b"Subject: " + b"=?utf-8?q?" * 200_000 + b"\r\n\r\nx",
        _HEAD + b"\r\n" + b"<" * 3_000_000,
        _HEAD + b"\r\n" + b"a" * 3_000_000 + b"\r\nundeliverable",
        _HEAD + b"Content-Type: text/html\r\n\r\n" + b"<" * 3_000_000,
        _HEAD + b"\r\n" + (b"A message that you sent could not be delivered\r\n" + b"x" * 249 + b"\r\n") * 4000,
        _HEAD + b"Content-Type: multipart/mixed; boundary=a\r\n\r\n" + b"--a\r\n\r\n" * 400_000,
        _HEAD + b"X: y\r\n" * 400_000 + b"\r\nundeliverable",
        _HEAD + b"\r\n" + b"undeliverable a@b.example 550 " * 100_000,
        _HEAD + b"\r\n" + b"From: \r\n" * 300_000,
        _HEAD + b"Content-Type: message/delivery-status\r\n\r\n" + b"Final-Recipient: a@b.c\nAction: x\n\n" * 9000,
        _HEAD + b"Content-Transfer-Encoding: base64\r\n\r\n" + b"QUFB=" * 600_000,
        _HEAD + b"\r\n" + b"\r" * 3_000_000 + b"x",
    ],
    ids=range(15),
)  # fmt: skip
def test_it_takes_no_longer_than_its_size(raw: bytes) -> None:
    """Megabytes that are made to be slow: a second or two, on a machine with much else to do."""
    before = time.process_time()
    check(b"From: a@x.example\r\n" + raw)
    assert time.process_time() - before < 5


def test_a_closing_boundary_may_be_missing_and_line_ends_may_be_any() -> None:
    raw = SAMPLES[0].rpartition(b"--=_b--")[0]
    for ends in (b"\n", b"\r", b"\r\n", b"\r\r\n"):
        mail = read_inbound_mail(raw.replace(b"\r\n", ends))
        assert (ID,) == mail.reports[0].traces.message_ids


def test_text_is_read_in_its_charset_and_headers_as_words() -> None:
    part = parse_message(
        "Subject: =?utf-8?q?Gr=C3=BC?=\r\n =?iso-8859-1?b?3GU=?= x\r\n"
        "Content-Type: text/plain; charset=iso-8859-1\r\n\r\nGr\u00fc\u00dfe".encode("latin-1")
    )
    assert ("GrüÜe x", "Grüße") == (part.headers.decoded("subject"), part.text())
    assert (
        "Gruß"
        == parse_message("A: b\r\nContent-Type: text/plain; charset=nonsense\r\n\r\nGruß".encode()).text()
    )
