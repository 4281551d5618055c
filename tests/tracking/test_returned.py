"""E-mail that came back, as it is read: what servers write, what they leave out, and what nobody meant."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.tracking.returned import Unreadable, read_returned
from tests.tracking.letters import answer, block, complaint, delivery_report, original

ID = "<1.2@muster.example>"


def test_a_delivery_report_says_who_why_and_which_message() -> None:
    link = "https://muster.example/u/abc"
    returned = read_returned(delivery_report(block(), returned=original(message_id=ID, unsubscribe=link)))
    assert "bounce" == returned.kind
    (report,) = returned.reports
    assert ("bounced", "ada@x.example", "5.1.1") == (report.kind, report.address, report.status)
    assert report.permanent
    assert "User unknown" in str(report.reason)
    assert ([ID], [link]) == (returned.message_ids, returned.unsubscribe)


@pytest.mark.parametrize("part", ["text/rfc822-headers", "message/rfc822-headers", "message/rfc822"])
def test_the_message_comes_back_whole_or_in_part(part: str) -> None:
    returned = read_returned(delivery_report(block(), returned=original(message_id=ID), part=part))
    assert [ID] == returned.message_ids


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
        ({"status": "5.0.0"}, ("bounced", "5.1.1", True)),
        ({"status": "", "diagnostic": "smtp; 550 no such user"}, ("bounced", None, True)),
        ({"status": "", "diagnostic": "x"}, ("bounced", None, True)),
    ],
)
def test_what_it_comes_to(given: dict[str, str], expected: tuple[str, str | None, bool]) -> None:
    (report,) = read_returned(delivery_report(block(**given))).reports
    assert expected == (report.kind, report.status, report.permanent)


def test_a_report_may_be_about_several() -> None:
    returned = read_returned(delivery_report(block(), "\n" + block("bo@x.example", status="4.2.2")))
    assert ["ada@x.example", "bo@x.example"] == [report.address for report in returned.reports]


@pytest.mark.parametrize("kind", ["abuse", "fraud", "other"])
def test_a_complaint_says_about_whom(kind: str) -> None:
    returned = read_returned(complaint(kind, returned=original(message_id=ID)))
    (report,) = returned.reports
    assert ("complaint", "complained", "ada@x.example", kind) == (
        returned.kind,
        report.kind,
        report.address,
        report.complaint_type,
    )
    assert [ID] == returned.message_ids
    (report,) = read_returned(complaint(returned=original(), rcpt=None)).reports
    assert "ada@x.example" == report.address, "from the message itself"


def test_what_is_no_complaint_is_none() -> None:
    assert [] == read_returned(complaint("not-spam", returned=original())).reports
    (report,) = read_returned(complaint("opt-out", returned=original())).reports
    assert "unsubscribed" == report.kind


def test_a_person_who_answers_is_told_from_a_machine() -> None:
    assert "reply" == read_returned(answer(ID)).kind
    assert [ID] == read_returned(answer(ID)).message_ids
    for headers in ({"Auto_Submitted": "auto-replied"}, {"X_Autoreply": "yes"}, {"Precedence": "auto_reply"}):
        assert "auto_reply" == read_returned(answer(ID, **headers)).kind
    assert "other" == read_returned(b"From: a@x.example\r\nSubject: Hello\r\n\r\nHi\r\n").kind


def test_a_link_that_was_folded_on_the_way_is_whole_again() -> None:
    folded = original().rstrip() + "\nList-Unsubscribe:\n <https://muster.example/u/abc\n def>\n"
    assert ["https://muster.example/u/abcdef"] == read_returned(
        delivery_report(block(), returned=folded)
    ).unsubscribe


@pytest.mark.parametrize("raw", [b"", b"\r\n\r\n", b"just text", b"\x00\xff" * 100])
def test_what_is_no_message_is_refused(raw: bytes) -> None:
    with pytest.raises(Unreadable):
        read_returned(raw)


def test_parts_in_parts_in_parts_end() -> None:
    raw = b"From: a@x.example\r\n" + b"".join(
        b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (i, i) for i in range(3000)
    )
    with suppress(Unreadable):
        assert "other" == read_returned(raw).kind


SAMPLES = [
    delivery_report(block(), returned=original(message_id=ID, unsubscribe="https://m.example/u/x")),
    complaint(returned=original(message_id=ID)),
    answer(ID),
]


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.sampled_from(SAMPLES), st.integers(0, 2000), st.integers(0, 300), st.binary(max_size=40))
def test_whatever_becomes_of_it_on_the_way_it_is_read_or_refused(
    raw: bytes, at: int, length: int, instead: bytes
) -> None:
    with suppress(Unreadable):
        read_returned(raw[:at] + instead + raw[at + length :])
