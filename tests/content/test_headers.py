"""Whatever text is put into a header arrives as that text, and is no other header.

Read with `tests.content.reader`, a reader of its own: older versions of Python's `email` lose blanks and quotation
marks. That they read one mailbox and no more headers is tested beside it.
"""

from __future__ import annotations

from email import message_from_bytes
from email.policy import SMTP, compat32
from uuid import uuid4

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.content.enclosed import Attachment, Enclosed
from engine.content.errors import TemplateError
from engine.content.headers import check_block, header_line, parameter
from engine.content.mailboxes import Mailbox, normalise_mailboxes, read_mailboxes
from engine.content.message import Content, Message
from engine.content.mime import MimeBuilder
from engine.content.templates import compile_template
from tests.content.reader import headers_of, mailboxes_of, parameter_of, text_of

BREAKS = ["=0D=0A", "=0d=0a", "=0D", "=0A", "=00", "=0A.=0D=0A", "=E2=80=A8", "=22=2C_"]
CHARSETS = ["utf-8", "UTF-8", "iso-8859-1", "us-ascii", "utf-16", "utf-7", "unknown-8bit", "x", "utf-8*en"]
encoded_word = st.builds(
    lambda charset, before, end, after: f"=?{charset}?q?{before}{end}{after}?=",
    st.sampled_from(CHARSETS),
    st.sampled_from(["", "x", "a_b"]),
    st.sampled_from(BREAKS),
    st.sampled_from(["Bcc=3A_evil=40example.org", "", "Subject:_x", "=0D=0A=0D=0Abody"]),
)
split_break = st.sampled_from(
    [
        "=?utf-8?q?x=0D?= =?utf-8?q?=0ABcc:_evil@example.org?=",
        "=?utf-8?b?eA0KQmNjOiBldmlsQGV4YW1wbGUub3Jn?=",
        "=?utf-8?b?DQ==?==?utf-8?b?Cg==?=",
        "=?utf-16?b?DQAKAA==?=",
    ]
)
words = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=40)
marks = st.sampled_from(
    [
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
        " ",
        "  ",
        "=?",
        "?=",
        "%",
        "'",
        "Ada",
        "Müller & Söhne",
        "株式会社",
        "שלום",
        "🎉",
        "\ufeff",
        "long " * 20,
        "x" * 120,
    ]
)
texts = st.lists(words | marks | encoded_word | split_break, max_size=8).map("".join).map(str.strip)


def message(content):
    return Message(uuid4(), uuid4(), uuid4(), uuid4(), "ada@x.org", content, "https://x.org/u/a")


def builder(**options):
    return MimeBuilder(**{"sender_email": "news@shop.example", **options})


@settings(deadline=None)
@given(name=texts, subject=texts, own=texts, filename=texts)
@example(
    name="=?utf-8?q?x=0D=0ABcc=3A_evil=40example.org?=",
    subject="",
    own="",
    filename="=?utf-8?q?a=0D=0AB=3A_e?=.pdf",
)
@example(name="=?utf-8?q?a=22=2C_b?=", subject="a  b", own="x" * 200, filename="x" * 255)
@example(
    name="Smith, Jones, Taylor & Partners Chartered Surveyors and Valuers, London",
    subject="",
    own="",
    filename="",
)
@example(name="x" * 100, subject=", " * 60 + ".", own="", filename='a"b\\c;d.pdf')
@example(name="Ada  Lovelace", subject="é é  é", own="é é  é", filename="Übersicht " * 20)
def test_every_text_arrives_as_it_is_and_adds_no_header(name, subject, own, filename):
    file = Attachment(filename, "application/pdf", b"hello")
    content = Content(
        subject,
        "t",
        sender_name=name,
        reply_to=str(Mailbox("help@x.org", name)),
        headers=(("X-Own", own),) if own else (),
        enclosed=Enclosed([file]),
    )
    raw = builder().build(message(content))
    head = raw.partition(b"\r\n\r\n")[0] + b"\r\n"
    found = headers_of(head)
    assert [header for header, _ in found] == [
        "MIME-Version",
        "From",
        "Reply-To",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "List-Unsubscribe",
        "List-Unsubscribe-Post",
        *(["X-Own"] if own else []),
        "Content-Type",
    ]
    values = dict(found)
    assert mailboxes_of(values["From"]) == [(name, "news@shop.example")]
    assert mailboxes_of(values["Reply-To"]) == [(name, "help@x.org")]
    assert text_of(values["Subject"]) == subject
    assert not own or text_of(values["X-Own"]) == own
    part_head = file.part.partition(b"\r\n\r\n")[0] + b"\r\n"
    part = dict(headers_of(part_head))
    assert list(part) == ["Content-Type", "Content-Transfer-Encoding", "Content-Disposition", "MIME-Version"]
    assert parameter_of(part["Content-Disposition"], "filename") == filename
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
    assert raw.isascii()


@settings(deadline=None)
@given(name=texts, subject=texts, filename=texts)
@example(name="=?utf-8?q?a=22=2C_b?=", subject="", filename="")
def test_the_standard_library_finds_one_mailbox_and_no_header_that_was_not_meant(name, subject, filename):
    file = Attachment(filename, "application/pdf", b"hello")
    raw = builder(sender_name=name or None).build(message(Content(subject, "t", enclosed=Enclosed([file]))))
    meant = ["MIME-Version", "From", "To", "Subject", "Date", "Message-ID"]
    for policy in (compat32, SMTP):
        parsed = message_from_bytes(raw, policy=policy)
        assert parsed.keys() == [*meant, "List-Unsubscribe", "List-Unsubscribe-Post", "Content-Type"]
        assert len(parsed.get_payload()) == 2
    (one,) = parsed["From"].addresses
    assert one.addr_spec == "news@shop.example"
    if len(name.encode()) <= 40:  # it puts blanks between several encoded words of a name
        assert one.display_name.split() == name.split()  # nor does it keep several


@pytest.mark.parametrize(
    ("given_text", "kept"),
    [
        ("help@x.org", "help@x.org"),
        ("a@shop.example, b@shop.example", "a@shop.example, b@shop.example"),
        ("Support <help@shop.example>", "Support <help@shop.example>"),
        ("Support<help@shop.example>", "Support <help@shop.example>"),
        ('"Smith, Ada" <a@x.org>,b@x.org', '"Smith, Ada" <a@x.org>, b@x.org'),
        ('"a\\"b" <a@x.org>', '"a\\"b" <a@x.org>'),
        ("help@müller.example", "help@xn--mller-kva.example"),
        ("Müller <help@MÜLLER.example>, ", '"Müller" <help@xn--mller-kva.example>'),
        ("a@x.org (Ada, at home)", '"Ada, at home" <a@x.org>'),
        ("<a@x.org>", "a@x.org"),
        ("Smith; Ada <a@x.org>", '"Smith; Ada" <a@x.org>'),
        ("=?utf-8?q?x=0D=0ABcc=3A_e?= <a@x.org>", "=?utf-8?q?x=0D=0ABcc=3A_e?= <a@x.org>"),
    ],
)
def test_mailboxes_are_read_as_people_write_them(given_text, kept):
    assert normalise_mailboxes(given_text) == kept
    assert normalise_mailboxes(kept) == kept


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        " , ",
        "no address",
        "a@x.org b@x.org",
        "a@x.org; b@x.org",
        "Ada <a@x.org>;",
        "Ada <a@x.org> Bo",
        "<a@x.org> <b@x.org>",
        "Friends: a@x.org;",
        '"open <a@x.org>',
        "a@x.org\r\nBcc: b@x.org",
        "ü@x.org",
        "a@",
        "a@x.org, " * 21,
        "x" * 3000,
    ],
)
def test_what_is_no_list_of_mailboxes_is_refused_with_the_reason(wrong):
    with pytest.raises(ValueError, match=r"address|longer"):
        read_mailboxes(wrong)


def test_a_name_of_a_mailbox_that_was_read_is_quoted_again():
    assert read_mailboxes(normalise_mailboxes('"Smith, Ada" <a@x.org>')) == (
        Mailbox("a@x.org", "Smith, Ada"),
    )


@pytest.mark.parametrize(
    "block",
    [
        b"From: a\r\nBcc: b\r\n",
        b"From: a\rb\r\n",
        b"From: a\nBcc: b\r\n",
        b"From: a\0\r\n",
        b"From: \xc3\xa9\r\n",
        b"From: a\n\r\n",
        b"From: a\r\n\r\n",
        b"From: a",
    ],
)
def test_a_block_with_another_line_end_than_its_own_is_refused_whatever_made_it(block):
    assert check_block(b"From: a\r\n b\r\n", 1)
    with pytest.raises(ValueError, match="line break"):
        check_block(block, 1)


@pytest.mark.parametrize("control", ["\r", "\n", "\0", "\x0b", "\x7f", "\x85", "\u2028", "\u2029"])
def test_controls_are_refused(control):
    with pytest.raises(ValueError, match="control character"):
        header_line("X-A", f"a{control}b")
    with pytest.raises(ValueError, match="control character"):
        parameter("filename", f"a{control}b")


@pytest.mark.parametrize(
    ("sender", "field"),
    [({"reply_to": "no address"}, "sender.reply_to"), ({"reply_to": "a@x.org; b@x.org"}, "sender.reply_to")],
)
def test_a_constant_reply_to_is_checked_when_the_template_is_saved(sender, field):
    with pytest.raises(TemplateError) as caught:
        compile_template("s", text="t", sender=sender)
    assert caught.value.field == field
