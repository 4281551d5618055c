"""What an HTTP answer says, read without a wire: waits, reasons, references, and secrets taken out."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from engine.channels.http.answers import Answer, excerpt, outcome_of, pick, retry_after
from engine.channels.port import Deferred, Delivered, Doubtful, Down, Rejected, Throttled
from engine.channels.scrub import Scrub

NOON = "Mon, 02 Mar 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "-5"}, 0.0),
        ({"retry-after": "1e300"}, 86_400.0),
        ({"retry-after": "inf"}, 86_400.0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Mon, 02 Mar 2026 12:00:30 GMT", "date": NOON}, 30.0),
        ({"retry-after": "Mon, 02 Mar 2026 13:00:30 +0100", "date": NOON}, 30.0),
        ({"retry-after": "Mon, 02 Mar 2026 11:00:00 GMT", "date": NOON}, 0.0),
        ({"retry-after": "Mon, 02 Mar 2099 12:00:00 GMT", "date": NOON}, 86_400.0),
        ({"retry-after": NOON}, None),
        ({"retry-after": NOON, "date": "today"}, None),
    ],
)
def test_how_long_to_wait(headers, seconds):
    assert retry_after(Answer(429, headers)) == seconds


@pytest.mark.parametrize(
    ("status", "headers", "kind"),
    [
        (200, {}, Delivered),
        (204, {}, Delivered),
        (301, {}, Down),
        (400, {}, Rejected),
        (401, {}, Down),
        (403, {}, Rejected),
        (404, {}, Rejected),
        (407, {}, Down),
        (408, {}, Deferred),
        (409, {}, Deferred),
        (425, {}, Deferred),
        (429, {}, Throttled),
        (500, {}, Deferred),
        (503, {}, Deferred),
        (503, {"retry-after": "1"}, Throttled),
        (504, {}, Doubtful),
        (599, {}, Deferred),
    ],
)
def test_what_a_status_means(status, headers, kind):
    outcome = outcome_of(Answer(status, headers))
    assert type(outcome) is kind
    assert isinstance(outcome, Delivered) or getattr(outcome, "code", None) == f"HTTP_{status}"


def test_success_may_be_said():
    assert isinstance(outcome_of(Answer(409), success=[200, 409]), Delivered)
    assert isinstance(outcome_of(Answer(202), success=[200]), Rejected)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", ""),
        (b'{"message": "no"}', "no"),
        (b'{"error": {"code": 5, "message": "no"}}', "no"),
        (b'{"errors": [{"detail": "no"}, {}]}', "no"),
        (b'{"code": 5}', '{"code":5}'),
        (b'["no"]', "no"),
        (b"<h1>\r\n  no\x00</h1>", "<h1>   no </h1>"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b'"' + b"x" * 999 + b'"', "x" * 300),
        (b"null", "null"),
    ],
)
def test_what_the_provider_says_in_a_line(body, text):
    assert excerpt(Answer(400, {}, body)) == text


@given(
    st.binary(max_size=200) | st.recursive(st.none() | st.text(), st.lists).map(json.dumps).map(str.encode)
)
def test_whatever_it_says_is_one_line(body):
    text = excerpt(Answer(400, {}, body))
    assert len(text) <= 300
    assert not set(text) & set("\r\n\x00\x1b\u2028")
    text.encode()


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a", {"b": [1, {"c": None}]}),
        ("a.b.0", 1),
        ("a.b.1.c", None),
        ("a.b.7", None),
        ("a.b.x", None),
        ("z", None),
    ],
)
def test_what_stands_at_a_path(path, found):
    assert pick({"a": {"b": [1, {"c": None}]}}, path) == found


@given(st.text(min_size=4, max_size=30), st.text(max_size=20), st.text(max_size=20))
def test_no_guise_of_a_secret_is_left(secret, before, after):
    scrub = Scrub([SecretStr(secret), None, ""])
    try:
        guises = [secret, quote(secret), quote_plus(secret), base64.b64encode(secret.encode()).decode()]
    except UnicodeEncodeError:
        return
    for guise in guises:
        assert guise not in scrub(f"{before} {guise} {after}").replace("***", "\x00")
    assert repr(scrub) == f"<Scrub of {len(scrub._guises)} texts>"


def test_a_secret_within_another_is_taken_out_whole():
    assert Scrub(["abc", "abcdef"])("x abcdef y abc z") == "x *** y *** z"
