"""Header values as bytes: folded, encoded, and unable to become another header.

A value is written so that a reader who follows RFC 5322 and RFC 2047 gets back exactly the text that was
given. White space at the ends, what looks like an encoded word, and everything outside printable ASCII
travels in encoded words. Python's own `email` package is not used for writing: it decodes encoded words that
it is given, and its older versions write the line ends in them out (gh-121650), lose quotation marks of long
names (gh-121284) and blanks between encoded words (gh-92081).

Whatever made a block of headers, `check_block` refuses one that holds another number of headers than it was
meant to, or a byte that no header can have.
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from urllib.parse import quote

__all__ = [
    "check_block",
    "check_header",
    "encoded_words",
    "fold",
    "header_line",
    "one_line",
    "parameter",
    "quoted",
    "refuse_controls",
    "subject_value",
]

_SUBJECT = "Subject"
#: Printable ASCII and no more of it than leaves room for a value in the first line.
_HEADER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,39}")
#: What the engine writes, or what a relay alone may write.
_OWN = frozenset(
    {"from", "to", "subject", "date", "message-id", "mime-version", "reply-to", "bcc", "cc", "sender"}
    | {"list-unsubscribe", "list-unsubscribe-post", "return-path", "received", "dkim-signature"}
)
_OWN_PREFIXES = ("content-", "resent-", "arc-")
#: Fits the header's first line (RFC 5322 §2.1.1) and says what it is.
_PLAIN = re.compile(r"[!-~](?:[ -~]{0,66}[!-~])?")
_FOLDABLE = re.compile(r"[!-~](?:[ -~]*[!-~])?")
#: What ends or disturbs a header line: controls, and the line separators of Unicode.
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_PRINTABLE = bytes(range(0x20, 0x7F))
_QUOTABLE = re.compile(r"[ -~]{0,60}")
_SPECIAL = re.compile(r'(["\\])')
#: Characters of one section of a parameter (RFC 2231 §3).
_SECTION = 60
_ESCAPED = re.compile(r"%[0-9A-F]{2}|[^%]")
_WORDS = re.compile(r" *[!-~]+")
_LINE = 76
_LONGEST_WORD = 900
#: Bytes of text in one encoded word of 75 characters (RFC 2047 §2).
_ROOM = 45
#: `=?utf-8?b?` and `?=`.
_AROUND = 12
#: In UTF-8, the bytes of a character behind its first.
_CONTINUES = range(0x80, 0xC0)


def subject_value(text: str) -> bytes:
    """The value of a Subject header, without its last line break.

    Raises:
        ValueError: it holds a line break or another control character, or half of a surrogate pair.
    """
    if "=?" not in text and _PLAIN.fullmatch(text):
        return text.encode("ascii")
    return _value(_SUBJECT, text)


def header_line(name: str, text: str) -> bytes:
    """A whole header of free text with its last line break.

    Raises:
        ValueError: as `subject_value`.
    """
    return name.encode("ascii") + b": " + _value(name, text) + b"\r\n"


def check_header(name: str) -> str | None:
    """Why nobody but the engine may write a header of that name; None when anybody may."""
    if not _HEADER_NAME.fullmatch(name):
        return "is no header's name: letters, digits and '-', at most 40"
    if name.lower() in _OWN or name.lower().startswith(_OWN_PREFIXES):
        return "is written by the engine itself"
    return None


def _value(name: str, text: str) -> bytes:
    if "=?" not in text and _FOLDABLE.fullmatch(text):
        words = _WORDS.findall(text)
        if max(map(len, words)) <= _LONGEST_WORD:
            return fold(words, len(name) + 2)
    refuse_controls(name, text)
    return encoded_words(text, len(name) + 2)


def one_line(text: str) -> str:
    """The text without what ends or disturbs a header line: a blank instead, none at the ends."""
    return text.strip() if text.isprintable() else _UNFIT.sub(" ", text).strip()


def refuse_controls(name: str, text: str) -> None:
    """Refuse a text that holds what ends or disturbs a header line.

    Raises:
        ValueError: it does; the message says `name`.
    """
    if _UNFIT.search(text):
        raise ValueError(f"the {name.lower()} holds a line break or another control character")


def quoted(text: str) -> str:
    """Printable ASCII as a quoted string (RFC 5322 §3.2.4)."""
    escaped = _SPECIAL.sub(r"\\\1", text)
    return f'"{escaped}"'


def fold(words: list[str], indent: int) -> bytes:
    """Words of printable ASCII, each with the blanks before it, in lines of at most 78 characters where it can be.

    Args:
        indent: Characters that stand before them in the first line.
    """
    lines = []
    line = ""
    room = _LINE - indent
    for word in words:
        if line and len(line) + len(word) > room:
            lines.append(line)
            line, room = "", _LINE
        line += word
    lines.append(line)
    return "\r\n".join(lines).encode("ascii")


def encoded_words(text: str, indent: int) -> bytes:
    """The text as encoded words, one a line, none cut within a character (RFC 2047 §2, §5).

    Args:
        indent: Characters that stand before them in the first line, at most 46.
    """
    raw = text.encode()
    words = []
    start, room = 0, min(_ROOM, (_LINE - indent - _AROUND) // 4 * 3)
    while start < len(raw):
        end = min(start + room, len(raw))
        while end < len(raw) and raw[end] in _CONTINUES:  # not within a character
            end -= 1
        words.append(b"=?utf-8?b?" + b2a_base64(raw[start:end], newline=False) + b"?=")
        start, room = end, _ROOM
    return b"\r\n ".join(words)


def parameter(name: str, text: str) -> bytes:
    """A parameter of a Content header, with the `;` and the line end that go before it.

    Short and plain, it is a quoted string; else it travels in the escapes of RFC 2231, in sections when it is long.

    Raises:
        ValueError: as `subject_value`.
    """
    refuse_controls(name, text)
    if "=?" not in text and _QUOTABLE.fullmatch(text):
        return f";\r\n {name}={quoted(text)}".encode("ascii")
    sections = [""]
    for character in _ESCAPED.findall(quote(text, safe="")):
        if len(sections[-1]) + len(character) > _SECTION:
            sections.append("")
        sections[-1] += character
    if len(sections) == 1:
        return f";\r\n {name}*=utf-8''{sections[0]}".encode("ascii")
    first = f";\r\n {name}*0*=utf-8''{sections[0]}"
    return "".join(
        (first, *(f";\r\n {name}*{at}*={piece}" for at, piece in enumerate(sections[1:], 1)))
    ).encode("ascii")


def check_block(block: bytes, headers: int) -> bytes:
    """A block of headers, when it is made of exactly so many, each with its last line break.

    Raises:
        ValueError: it holds CR, LF or NUL outside the line ends of that number of (folded) headers, or a byte that is
            not printable ASCII.
    """
    if block.translate(None, _PRINTABLE) != b"\r\n" * (headers + block.count(b"\r\n ")):
        raise ValueError("a header holds a line break or a byte that no header can have")
    return block
