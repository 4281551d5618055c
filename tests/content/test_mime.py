"""Messages: a reader sees what the standard library would have written."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from uuid import UUID, uuid4

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.content.links import message_id_of, read_message_id
from engine.content.message import Content, Message
from engine.content.mime import MimeBuilder

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ID = UUID("0195a000-0000-7000-8000-000000000001")
CAMPAIGN, ENTITY = uuid4(), uuid4()
LEFT = message_id_of(ID, CAMPAIGN, ENTITY).decode()
URL = "https://muster.example/u/abc?d=1"


def message(content, *, address="ada@x.org", unsubscribe_url=None, execution_id=ID):
    return Message(execution_id, uuid4(), CAMPAIGN, ENTITY, address, content, unsubscribe_url)


def builder(**options):
    return MimeBuilder(**{"sender_email": "news@x.org", "clock": NOW.timestamp, **options})


def reference(content, *, sender, address="ada@x.org"):
    """What the standard library writes for it."""
    whole = EmailMessage(policy=SMTP)
    whole["MIME-Version"] = "1.0"
    whole["From"] = Address(sender[1] or "", addr_spec=sender[0])
    whole["To"] = address
    whole["Subject"] = content.subject
    whole["Date"] = format_datetime(NOW)
    whole["Message-ID"] = f"<{LEFT}@x.org>"
    whole["List-Unsubscribe"] = f"<{URL}>"
    whole["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    if content.text is not None or content.html is None:
        whole.set_content(content.text or "")
    if content.html is not None and content.text is None:
        whole.set_content(content.html, subtype="html")
    elif content.html is not None:
        whole.add_alternative(content.html, subtype="html")
    return whole.as_bytes()


def seen(raw):
    """Headers and bodies as a reader sees them."""
    parsed = message_from_bytes(raw, policy=SMTP)
    assert not parsed.defects
    parts = [part for part in parsed.walk() if not part.is_multipart()]
    headers = {name.lower(): str(value) for name, value in parsed.items()}
    headers.pop("content-transfer-encoding", None)
    structure = [part.get_content_type() for part in parsed.walk()]
    if parsed.is_multipart():
        headers.pop("content-type")
    assert not any(part.defects for part in parsed.walk())
    return headers, structure, [part.get_content() for part in parts]


def sender_of(raw):
    (one,) = message_from_bytes(raw, policy=SMTP)["From"].addresses
    return one.display_name, one.addr_spec


def check_the_wire(raw):
    assert raw.isascii()
    assert b"\0" not in raw
    assert raw.endswith(b"\r\n")
    assert all(len(line) <= 998 and b"\r" not in line and b"\n" not in line for line in raw.split(b"\r\n"))


controls = st.characters(categories=["Cc", "Zl", "Zp"])
written = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
lines = st.lists(
    written | st.sampled_from([".", "..", "From here", "--=_", "a" * 1200, "é" * 900, " ", "x=3D", "-- "])
)
bodies = (
    st.none()
    | st.builds("".join, st.lists(written | st.sampled_from(["\r", "\n", "\r\n", "\0"])))
    | lines.map("\n".join)
)
bodies = bodies.map(lambda body: body or None)  # an empty part is left out
one_line = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=150)


@settings(deadline=None)
@given(
    subject=one_line.map(str.strip),
    text=bodies,
    html=bodies,
    name=st.none()
    | st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=60).map(str.strip),
)
@example(subject="word " * 60 + "end", text="x", html=None, name="Müller & Söhne, GmbH")
@example(subject="é" * 300, text=None, html="<p>\u20ac</p>" * 400, name='"quoted" (x)')
@example(subject="=?utf-8?q?not_encoded?=", text="\r\r\n.\r\n", html=None, name="")
@example(subject="x" * 950, text=".\n..\n", html="<p>" + "a" * 5000, name="x" * 100)
def test_a_reader_sees_what_the_standard_library_would_have_written(subject, text, html, name):
    content = Content(subject, text, html, "news@x.org", name)
    raw = builder().build(message(content, unsubscribe_url=URL))
    check_the_wire(raw)
    expected = seen(reference(Content("x", text, html), sender=("news@x.org", name)))
    headers, structure, texts = seen(raw)
    assert headers.pop("subject") == subject
    if len((name or "").encode()) <= 40:  # of several encoded words the standard library makes words
        shown, email = sender_of(raw)
        assert (shown.split(), email) == ((name or "").split(), "news@x.org")
    for name_of_header in (
        "subject",
        "from",
    ):  # where the standard library writes another text than it is given
        expected[0].pop(name_of_header)
    headers.pop("from")
    assert (headers, structure, texts) == expected


@pytest.mark.parametrize(
    "subject",
    ["Spring sale", "Grüße aus Köln", "🎉 " * 30, "long " * 40 + "tail", "a  b", "", "=?utf-8?b?eA==?= x"],
)
def test_usual_subjects_read_as_the_standard_library_writes_them(subject):
    content = Content(subject, "x")
    raw = builder().build(message(content))
    check_the_wire(raw)
    assert str(message_from_bytes(raw, policy=SMTP)["Subject"]) == subject


def test_the_message_id_holds_the_execution_and_the_recipient():
    assert LEFT.startswith(f"{ID}.")
    assert read_message_id(f"<{LEFT}@x.org>") == (CAMPAIGN, ENTITY)
    parsed = message_from_bytes(builder().build(message(Content("s", "t"))), policy=SMTP)
    assert parsed["Message-ID"] == f"<{LEFT}@x.org>"
    assert "List-Unsubscribe" not in parsed
    parsed = message_from_bytes(builder(domain="id.example").build(message(Content("s", "t"))), policy=SMTP)
    assert parsed["Message-ID"] == f"<{LEFT}@id.example>"


def test_the_channels_headers_are_in_every_message():
    built = builder(reply_to="help@x.org", sender_name="Muster", headers={"X-Mailer": "Muster"})
    parsed = message_from_bytes(built.build(message(Content("s", "t"))), policy=SMTP)
    assert (parsed["Reply-To"], parsed["X-Mailer"], parsed["From"]) == (
        "help@x.org",
        "Muster",
        "Muster <news@x.org>",
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"address": "a@x.org\r\nBcc: b@x.org"},
        {"address": "a@x.org>\r\n"},
        {"address": "a b@x.org"},
        {"address": ""},
        {"address": "ü@x.org"},
        {"content": Content("a\r\nBcc: b@x.org", "t")},
        {"content": Content("a\x00", "t")},
        {"content": Content("s", "t", sender_email="a@x.org\nBcc: b@x.org")},
        {"content": Content("s", "t", sender_email="a@x.org", sender_name="x\r\nBcc: b@x.org")},
        {"content": Content("s", "\ud800")},
        {"content": Content("\udfff", "t")},
        {"unsubscribe_url": "https://x.org/>\r\nBcc: b@x.org"},
        {"unsubscribe_url": "https://x.org/ü"},
        {"unsubscribe_url": "https://x.org/" + "a" * 1000},
    ],
)
def test_what_could_break_out_of_a_header_is_refused(wrong):
    with pytest.raises(ValueError, match=r"."):
        builder().build(message(**{"content": Content("s", "t"), **wrong}))


@pytest.mark.parametrize(
    "options",
    [
        {"sender_email": "nobody"},
        {"sender_name": "a\nb"},
        {"reply_to": "a@b\r\n"},
        {"headers": {"Subject": "x"}},
        {"headers": {"content-type": "x"}},
        {"headers": {"X A": "x"}},
        {"headers": {"X-A": "x\r\nB: c"}},
        {"headers": {"X-A": " "}},
        {"headers": {"X-A": "x" * 1000}},
    ],
)
def test_a_channel_with_headers_that_cannot_be_is_refused(options):
    with pytest.raises(ValueError, match=r"."):
        builder(**options)


def test_no_recipients_data_can_end_a_part():
    mail = builder()
    boundary = message_from_bytes(mail.build(message(Content("s", "t", "h"))), policy=SMTP).get_boundary()
    evil = f"x\n--{boundary}\nContent-Type: text/html\n\n<b>evil</b>\n--{boundary}--\n"
    parsed = message_from_bytes(mail.build(message(Content("s", evil, "h"))), policy=SMTP)
    assert [part.get_content().replace("\r\n", "\n") for part in parsed.iter_parts()] == [evil, "h\n"]


def test_a_text_that_is_the_same_for_all_is_encoded_once():
    mail = builder()
    html = "<p>\u20ac</p>" * 10
    first = mail.build(message(Content("s", "one", html)))
    second = mail.build(message(Content("s", "two", html)))
    assert first.replace(b"one", b"two") == second


def test_remembered_lines_do_not_pile_up():
    mail = builder()
    for number in range(100):
        text = "\n".join(f"é{number}.{line}" for line in range(100)) + "x" * 200
        mail.build(message(Content("s", text)))
        mail.build(message(Content("s", "é" + "y" * 600 + str(number))))
    assert len(mail._plain._quoted) <= 4096 + 100
    assert max(map(len, mail._plain._quoted)) <= 512


def test_sender_names_that_differ_by_recipient_do_not_pile_up():
    mail = builder()
    for number in range(1000):
        mail.build(message(Content("s", "t", sender_email="a@x.org", sender_name=f"n{number}")))
    assert len(mail._frames) <= 256
