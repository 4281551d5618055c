"""Texts as MIME bodies in seven bits: readable where they can be, else quoted-printable, else base64.

Line ends become CRLF, a text ends with one, and no line is longer than 998 characters. Messages of one
template share most of their lines, so quoted lines are remembered: that is three times as fast as quoting
them again. A text that is the same object as the one before (a part without variables) is not even looked
at.
"""

from __future__ import annotations

from binascii import b2a_base64, b2a_qp

__all__ = ["BodyEncoder", "base64_lines"]

#: The longest line that may travel (RFC 5322 §2.1.1), and base64's (RFC 2045 §6.8).
_LINE = 998
_BASE64_LINE = 76
#: What is remembered at most: lines, and characters of one.
_LINES_KEPT = 4096
_LINE_KEPT = 512


class BodyEncoder:
    """Encodes the texts of one kind (`plain` or `html`) for one boundary."""

    __slots__ = ("_boundary", "_encoded", "_latest", "_quoted", "_type")

    def __init__(self, subtype: str, boundary: str) -> None:
        self._type = f'Content-Type: text/{subtype}; charset="utf-8"\r\nContent-Transfer-Encoding: '.encode()
        self._boundary = boundary
        self._latest: str | None = None
        self._encoded = b""
        self._quoted: dict[str, bytes] = {}

    def encode(self, text: str) -> bytes:
        """The part's headers, an empty line, and the body.

        Raises:
            UnicodeEncodeError: the text holds half of a surrogate pair.
        """
        if text is not self._latest:
            self._encoded = self._type + self._body(text)
            self._latest = text
        return self._encoded

    def _body(self, text: str) -> bytes:
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        if not text.endswith("\n"):
            text += "\n"
        if text.isascii() and "\0" not in text and self._boundary not in text and _fits(text):
            return b"7bit\r\n\r\n" + text.replace("\n", "\r\n").encode("ascii")
        raw = text.encode()
        if len(raw) - len(text) > len(raw) // 8:  # about a quarter of the bytes would become three
            return b"base64\r\n\r\n" + base64_lines(raw.replace(b"\n", b"\r\n"))
        return b"quoted-printable\r\n\r\n" + self._quote(text.split("\n")[:-1])

    def _quote(self, lines: list[str]) -> bytes:
        known = self._quoted
        if len(known) > _LINES_KEPT:  # lines with a recipient's data in them come but once
            known.clear()
        return b"".join([known.get(line) or self._quote_line(line) for line in lines])

    def _quote_line(self, line: str) -> bytes:
        quoted = b2a_qp(line.encode() + b"\r\n", istext=True)
        if len(line) <= _LINE_KEPT:
            self._quoted[line] = quoted
        return quoted


def base64_lines(raw: bytes) -> bytes:
    """Base64 in lines that may travel, each with its end."""
    coded = b2a_base64(raw, newline=False)
    lines = [coded[at : at + _BASE64_LINE] for at in range(0, len(coded), _BASE64_LINE)]
    return b"".join(line + b"\r\n" for line in lines)


def _fits(text: str) -> bool:
    """Whether every line may travel as it is."""
    return len(text) <= _LINE or max(map(len, text.split("\n"))) <= _LINE
