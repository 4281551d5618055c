"""Any stream of bytes becomes the same lines however it is cut, and says what is wrong with it."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.audience.lines import MAX_LINE, ImportRefused, numbered_lines


def cut(data, sizes):
    """The data in pieces of these sizes, over and over."""
    at = number = 0
    while at < len(data):
        size = sizes[number % len(sizes)]
        yield data[at : at + size]
        at += size
        number += 1


def texts(data, sizes=(7,)):
    return [(line.number, line.text, line.trouble) for line in numbered_lines(cut(data, sizes))]


@given(
    st.text(st.characters(exclude_characters="\0\ufeff", codec="utf-8")),
    st.lists(st.integers(1, 9), min_size=1),
)
def test_lines_do_not_depend_on_the_pieces(text, sizes):
    wanted = text.split("\n")
    if wanted[-1] == "":
        wanted.pop()
    assert [(n, line, None) for n, line in enumerate(wanted, 1)] == texts(text.encode(), sizes)


def test_empty_files_have_no_lines():
    assert [] == texts(b"")
    assert [] == list(numbered_lines([b"", b""]))


def test_a_byte_order_mark_is_not_text():
    assert [(1, "a", None), (2, "b", None)] == texts(codecs.BOM_UTF8 + b"a\nb\n")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("a,b\n".encode("utf-16"), "is UTF-16, not UTF-8; save it as UTF-8"),
        ("a,b\n".encode("utf-32"), "is UTF-32"),
        ("a,b\nc,d\n".encode("utf-16-le"), "looks like UTF-16"),
        ("name\nMüller\n".encode("latin-1"), r"is not UTF-8 \(line 2\); it may be Windows-1252 .* iconv"),
        (b"PK\x03\x04rest", "workbook"),
        (b"\x1f\x8brest", "gzip"),
    ],
)
def test_what_is_no_utf8_text_is_refused_at_once(data, message):
    with pytest.raises(ImportRefused, match=message):
        next(numbered_lines([data]))


def test_a_character_cut_by_the_end_of_the_head_is_none_wrong():
    data = b"x" * 65_535 + "ü\n".encode() + b"y\n"
    assert [1, 2] == [line.number for line in numbered_lines([data[:65_536], data[65_536:]])]


def test_later_troubles_are_those_of_their_lines():
    good = b"good line\n" * 30_000
    data = good + "Müller\n".encode("latin-1") + b"nul\0\n" + b"fine\n"
    lines = list(numbered_lines(cut(data, [65_536])))
    assert 30_003 == len(lines)
    assert "is not UTF-8 (byte 2)" in str(lines[30_000].trouble)
    assert (30_002, "contains NUL characters") == (lines[30_001].number, lines[30_001].trouble)
    assert ("fine", None) == lines[30_002][1:]


@pytest.mark.parametrize("size", [MAX_LINE + 1, MAX_LINE * 9])
@pytest.mark.parametrize("piece", [10_000, 10_000_000])
def test_a_line_too_long_is_one_bad_line(size, piece):
    data = b"a\n" + b"x" * size + b"\nb\n" + b"y" * size
    found = [(line.number, line.text, line.trouble is None) for line in numbered_lines(cut(data, [piece]))]
    assert [(1, "a", True), (2, "", False), (3, "b", True), (4, "", False)] == found
