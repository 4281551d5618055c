"""A stream of bytes as numbered lines of text, in constant memory.

What is wrong with the whole file (another encoding, a workbook, an archive, an error page) shows in its first 64 KiB
and is refused before anything else happens, with what to do about it. What is wrong with one line is said of that line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from engine.audience.foreign_files import binary_form, text_form
from engine.kernel.inputs import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["MAX_LINE", "ImportRefused", "Line", "numbered_lines"]

#: Characters of a line, and of a record that spans several.
MAX_LINE = 131_072
#: Bytes that are looked at before anything is done.
_HEAD = 65_536
#: Bytes that are turned into lines at once.
_BLOCK = 262_144

_SAVE_AS = "save it as UTF-8 (in a spreadsheet: CSV UTF-8)"
_BOM = b"\xef\xbb\xbf"


class ImportRefused(Invalid):
    """The file cannot be imported as it is. Nothing was written."""


class Line(NamedTuple):
    """One line without its line feed, or what is wrong with it."""

    number: int
    """As an editor counts them, from 1."""
    text: str
    trouble: str | None = None


def numbered_lines(chunks: Iterable[bytes]) -> Iterator[Line]:
    """The lines of a file that comes in chunks of any size.

    Raises:
        ImportRefused: before the first line, when the file's beginning is no UTF-8 text.
    """
    stream = _blocks(chunks)
    head = next(stream, b"")
    _check_head(head)
    pending = bytearray(head.removeprefix(_BOM))
    number = 1
    skipping = False
    for block in _then(stream):
        if block is not None:
            pending += block
        elif pending or skipping:
            pending += b"\n"  # the last line need not end
        *whole, rest = bytes(pending).rsplit(b"\n", 1)
        if whole:
            for line in _decoded(whole[0], number, skipping=skipping):
                yield line
                number = line.number + 1
            skipping = False
        pending = bytearray(rest)
        if len(pending) > MAX_LINE * 4:  # longer than any line, whatever its characters
            skipping, pending = True, bytearray()


def _blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes in blocks of 64 to 256 KiB; only the last may be smaller."""
    buffer = bytearray()
    for chunk in chunks:
        buffer += chunk
        while len(buffer) >= _HEAD:
            yield bytes(buffer[:_BLOCK])
            del buffer[:_BLOCK]
    if buffer:
        yield bytes(buffer)


def _then(blocks: Iterator[bytes]) -> Iterator[bytes | None]:
    """Nothing to add first (the head stands already), then the blocks, then None for the end."""
    yield b""
    yield from blocks
    yield None


def _decoded(block: bytes, number: int, *, skipping: bool) -> Iterator[Line]:
    """The lines of a block; `skipping`: its first one lost its beginning because it was too long."""
    try:
        lines: list[tuple[str, str | None]] = [(text, None) for text in block.decode().split("\n")]
    except UnicodeDecodeError:
        lines = [_read(raw) for raw in block.split(b"\n")]
    for offset, (text, trouble) in enumerate(lines, number):
        if (skipping and offset == number) or len(text) > MAX_LINE:
            yield Line(offset, "", f"is longer than {MAX_LINE} characters")
        elif "\0" in text:
            yield Line(offset, "", "contains NUL characters")
        else:
            yield Line(offset, text, trouble)


def _read(raw: bytes) -> tuple[str, str | None]:
    try:
        return raw.decode(), None
    except UnicodeDecodeError as error:
        return "", f"is not UTF-8 (byte {error.start + 1}); {_SAVE_AS}"


def _check_head(head: bytes) -> None:
    if (what := binary_form(head)) is not None:
        raise ImportRefused("file", what)
    if head.count(0) * 4 > len(head):
        raise ImportRefused("file", f"looks like UTF-16, not UTF-8; {_SAVE_AS}")
    if (what := text_form(head.decode(errors="replace"))) is not None:
        raise ImportRefused("file", what)
    try:
        head.decode()
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data" and error.end == len(head):
            return  # a character that the head cuts in two
        line = head.count(b"\n", 0, error.start) + 1
        raise ImportRefused(
            "file",
            f"is not UTF-8 (line {line}); it may be Windows-1252 or ISO 8859-1: {_SAVE_AS}, or convert it: "
            "iconv -f WINDOWS-1252 -t UTF-8",
        ) from None
