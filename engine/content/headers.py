"""Header values as bytes: folded, encoded, and unable to become another header.

A value is written so that a reader who follows RFC 5322 and RFC 2047 gets back exactly the text that was
given. White space at the ends, what looks like an encoded word, and everything outside printable ASCII
travels in encoded words.
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP

__all__ = ["address_header", "check_header", "header_line", "subject_value"]

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
            return _folded(words, len(name) + 2)
    if any(character < " " or character == "\x7f" for character in text):
        raise ValueError(f"the {name.lower()} holds a line break or another control character")
    return _encoded_words(text.encode(), len(name) + 2)


def _folded(words: list[str], indent: int) -> bytes:
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


def _encoded_words(raw: bytes, indent: int) -> bytes:
    words = []
    start, room = 0, min(_ROOM, (_LINE - indent - _AROUND) // 4 * 3)
    while start < len(raw):
        end = min(start + room, len(raw))
        while end < len(raw) and raw[end] in _CONTINUES:  # not within a character
            end -= 1
        words.append(b"=?utf-8?b?" + b2a_base64(raw[start:end], newline=False) + b"?=")
        start, room = end, _ROOM
    return b"\r\n ".join(words)


def address_header(header: str, email: str, name: str | None) -> bytes:
    """A whole `From` or `Reply-To` header with its last line break, as the standard library writes it.

    Raises:
        ValueError: the name or the address holds a line break, or the address is none.
    """
    message = EmailMessage(policy=SMTP)
    message[header] = Address(name or "", addr_spec=email)
    return message.as_bytes().removesuffix(b"\r\n")
