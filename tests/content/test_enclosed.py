"""Attachments, images inside the HTML, and headers: as the standard library would have written them."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.content.enclosed import Attachment, Enclosed, check_attachment, guess_type
from engine.content.errors import TemplateError
from engine.content.message import Content, Message
from engine.content.mime import MimeBuilder
from engine.content.stored import compile_message
from tests.content.standard import check_the_wire, seen, written

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
PNG = Attachment("logo.png", "image/png", b"\x89PNG\r\n\x1a\n" * 50, content_id="logo@x.org")
PDF = Attachment("Übersicht 2026 (final).pdf", "application/pdf", bytes(range(256)) * 5)
CSV = Attachment("a.csv", "text/csv", b".\r\n..\r\nFrom x\r\n")


def message(content):
    return Message(uuid4(), uuid4(), uuid4(), uuid4(), "ada@x.org", content, "https://x.org/u/a")


def builder(**options):
    return MimeBuilder(sender_email="news@x.org", sender_name="Nüws", clock=NOW.timestamp, **options)


def compare(content):
    one = message(content)
    raw = builder().build(one)
    check_the_wire(raw)
    standard = written(one, sender=("news@x.org", "Nüws"), date=format_datetime(NOW))
    assert seen(raw) == seen(standard)
    return raw


files = st.lists(st.sampled_from([PNG, PDF, CSV]), max_size=3, unique=True)
texts = st.none() | st.sampled_from(["hello", "Grüße\n.\n..\n", "x" * 2000, "a\n--=_x\n"])


@given(text=texts, html=texts, enclosed=files)
@settings(deadline=None)
def test_a_reader_sees_what_the_standard_library_would_have_written(text, html, enclosed):
    compare(Content("Ünter uns", text, html, enclosed=Enclosed(enclosed) if enclosed else None))


def test_an_image_that_no_html_shows_is_attached():
    _, structure, bodies = seen(builder().build(message(Content("s", "t", enclosed=Enclosed([PNG])))))
    assert structure == ["multipart/mixed", "text/plain", "image/png"]
    assert bodies[1][3] == PNG.content


@pytest.mark.parametrize(
    "value",
    ["plain", "Grüße aus Köln", "word " * 40 + "end", "ü" * 200, "=?utf-8?q?x?=", "a  b"],
)
@pytest.mark.parametrize("name", ["X-A", "List-Id", "X-" + "a" * 38])
def test_headers_read_as_they_were_given(name, value):
    raw = builder().build(message(Content("s", "t", headers=((name, value),))))
    check_the_wire(raw)
    lines = raw.partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert max(len(line) for line in lines if not line.startswith(b"Message-ID:")) <= 78
    assert seen(raw)[0][name.lower()] == value


def test_a_reply_to_goes_before_the_channels():
    raw = builder(reply_to="help@x.org").build(message(Content("s", "t", reply_to="ada@x.org")))
    assert raw.count(b"Reply-To:") == 1
    assert seen(raw)[0]["reply-to"] == "ada@x.org"
    assert (
        seen(builder(reply_to="help@x.org").build(message(Content("s", "t"))))[0]["reply-to"] == "help@x.org"
    )


@pytest.mark.parametrize(
    "content",
    [
        Content("s", "t", headers=(("X-A", "a\r\nBcc: b@x.org"),)),
        Content("s", "t", reply_to="a@x.org\r\nBcc: b@x.org"),
        Content("s", "t", reply_to="nobody"),
    ],
)
def test_what_could_break_out_of_a_header_is_refused(content):
    with pytest.raises(ValueError, match=r"."):
        builder().build(message(content))


def test_a_name_alone_stands_beside_the_channels_address():
    raw = builder().build(message(Content("s", "t", sender_name="Ada")))
    assert seen(raw)[0]["from"] == "Ada <news@x.org>"


def test_headers_of_a_template_hold_variables():
    template = compile_message(
        {
            "text": "x",
            "headers": {"X-Customer": "{{ id }}", "X-None": "{{ nobody }}", "X-Line": "a{{ evil }}b"},
            "sender": {"reply_to": "{{ agent }}@x.org", "name": "{{ agent }}"},
        }
    )
    content = template.render({"id": 7, "agent": "bob", "evil": "\r\nBcc: b@x.org"})
    assert content.headers == (("X-Customer", "7"), ("X-Line", "a Bcc: b@x.orgb"))
    assert (content.reply_to, content.sender_name) == ("bob@x.org", "bob")


@pytest.mark.parametrize(
    "name", ["Subject", "dkim-signature", "Content-Type", "Resent-To", "X A", "X:A", "", "Ü", "x" * 41, "Bcc"]
)
def test_headers_that_are_the_engines_own_are_refused(name):
    with pytest.raises(TemplateError, match="headers"):
        compile_message({"text": "x", "headers": {name: "y"}})


def test_texts_in_data_hold_variables():
    data = {
        "whatsapp": {
            "template": {"name": "hi", "parameters": ["{{ name }}", 5, {"a": "{{ x | default: 'y' }}"}]}
        }
    }
    template = compile_message({"data": data})
    content = template.render({"name": "Ada"})
    assert content.data == {"whatsapp": {"template": {"name": "hi", "parameters": ["Ada", 5, {"a": "y"}]}}}
    assert (content.text, content.html) == (None, None)
    assert template.variables == {"name", "x"}
    with pytest.raises(TemplateError, match=r"data\.whatsapp\.b\[0\], line 1"):
        compile_message({"data": {"whatsapp": {"b": ["{{"]}}})


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (("../a", "text/plain", None), "filename"),
        (("a\r\nb", "text/plain", None), "filename"),
        (("a\u202egnp.exe", "text/plain", None), "filename"),
        ((" ", "text/plain", None), "filename"),
        (("a" * 256, "text/plain", None), "filename"),
        (("a", "text", None), "content_type"),
        (("a", "text/plain; charset=x", None), "content_type"),
        (("a", "multipart/mixed", None), "content_type"),
        (("a", "message/rfc822", None), "content_type"),
        (("a", "image/png", "<logo>"), "content_id"),
        (("a", "image/png", "a b"), "content_id"),
        (("a", "image/png", "a\r\n"), "content_id"),
    ],
)
def test_files_that_cannot_be_attached_are_told_apart(given, field):
    trouble = check_attachment(*given)
    assert trouble is not None
    assert trouble[0] == field


def test_files_that_can_be_attached():
    assert check_attachment("Bericht (1).pdf", guess_type("Bericht (1).pdf"), None) is None
    assert check_attachment("x", guess_type("x"), "logo@x.org") is None
    assert guess_type("x") == "application/octet-stream"
