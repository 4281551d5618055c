"""A message as a tree of parts, read from any bytes whatever: the standard library's parser trips over some of them.

Promises:
- Nothing raises but `Unreadable` (no headers at all), and the time is bounded by the size: parts nest `_DEPTH` deep at
  most and are `_PARTS` at most; what goes beyond is text.
- Headers are one line of printable text each: no control characters, no halves of characters, comments where they were.
- A body that is encoded (base64, quoted-printable) is decoded however damaged it is, and whatever part it stands in:
  RFC 2046 §5.2.1 forbids it for embedded messages, and servers do it nevertheless.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import html
import quopri
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from config.errors import MusterError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Headers", "Part", "Unreadable", "parse_message", "read_fields"]

_DEPTH = 12
_PARTS = 200
_FIELDS = 1000
_VALUE = 20_000
_TEXT = 256 * 1024
_FIELD = re.compile(r"([!-9;-~]{1,100})[ \t]*:[ \t]*(.*)", re.DOTALL)
_TYPE = re.compile(r"\s*([\w!#$&^.+-]{1,100})/([\w!#$&^.+-]{1,100})", re.ASCII)
_BOUNDARY = re.compile(r';\s*boundary\s*=\s*(?:"([^"]{1,200})"|([^\s;"]{1,200}))', re.IGNORECASE)
_BEGINS_A_PART = re.compile(rb"^--([^\s-][^\n]{0,200}?)[ \t]*\nContent-[A-Za-z-]{1,30}:", re.MULTILINE)
_CHARSET = re.compile(r';\s*charset\s*=\s*"?([\w.:+-]{1,40})', re.IGNORECASE | re.ASCII)
_WORD = re.compile(r"=\?([\w.:+-]{1,40})(?:\*[\w-]*)?\?([bq])\?([^?]*)\?=", re.IGNORECASE | re.ASCII)
_BETWEEN_WORDS = re.compile(r"(\?=)\s+(?==\?)")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_NO_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")
#: How ISO-2022-JP leaves ASCII (RFC 1468).
_SHIFTS = re.compile(rb"\x1b\$[@B]")
_BLANKS = re.compile(r"\s+")
_CARRIAGE_RETURNS = re.compile(rb"\r+\n?")
_MARKUP = re.compile(r"<[^<>]*>")
#: These decode no charset, or cost more than the length of what they decode.
_NO_CHARSETS = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined"})
_WHOLE_MESSAGES = frozenset({"message/rfc822", "message/global", "message/news"})
#: A message that is attached as a file by programs that know no better.
_FILES = frozenset({"application/octet-stream", "application/eml", "application/x-eml", "text/plain"})
_FILE = re.compile(r';\s*(?:file)?name\s*=\s*"?[^";]{1,200}\.eml"?\s*(?:;|$)', re.IGNORECASE)
_HEADERS_ALONE = frozenset(
    {"text/rfc822-headers", "message/rfc822-headers", "message/global-headers", "text/rfc822-header"}
)


class Unreadable(MusterError, ValueError):
    """It is no e-mail message."""


class Headers:
    """The fields of a message or a report, in order; names in any case."""

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        self._fields = [(name.lower(), value) for name, value in fields]

    def get(self, name: str) -> str:
        """The first of this name in one line; empty: there is none."""
        return next(iter(self.get_all(name)), "")

    def get_all(self, name: str) -> list[str]:
        """All of this name."""
        return [value for known, value in self._fields if known == name]

    def decoded(self, name: str) -> str:
        """`get` with encoded words (RFC 2047) as text."""
        return _decode_words(self.get(name))

    def items(self) -> Iterator[tuple[str, str]]:
        """Names in lower case, and values."""
        yield from self._fields

    def __contains__(self, name: str) -> bool:
        return any(known == name for known, _ in self._fields)

    def __len__(self) -> int:
        return len(self._fields)


@dataclass(slots=True)
class Part:
    """A message, or a part of one."""

    headers: Headers
    body: bytes
    """As it came, line ends as LF."""
    kind: str = "text/plain"
    """Its type, in lower case."""
    parts: list[Part] = field(default_factory=list)
    """Of a multipart; of an embedded message, the one message; of a message's headers alone, these as a message."""

    @property
    def is_message(self) -> bool:
        """Whether it is an embedded message, whole or its headers alone: its only part."""
        return self.kind in _WHOLE_MESSAGES or self.kind in _HEADERS_ALONE

    def content(self) -> bytes:
        """The body without its transfer encoding."""
        encoding = self.headers.get("content-transfer-encoding").strip().lower()
        if encoding.startswith("base64"):
            return _unbase64(self.body)
        if encoding.startswith("quoted-printable"):
            return quopri.decodestring(self.body)
        return self.body

    def text(self) -> str:
        """The body as text, its first 256 KiB; without the markup of HTML."""
        named = _CHARSET.search(";" + self.headers.get("content-type"))
        found = _decode(self.content()[:_TEXT], named[1] if named is not None else "utf-8")
        if self.kind == "text/html":
            found = html.unescape(_MARKUP.sub("\n", found))
        return _CONTROLS.sub(" ", found.replace("\r\n", "\n"))

    def own_parts(self) -> Iterator[Part]:
        """It and its parts, without what stands inside embedded messages; these themselves are among them."""
        yield self
        if not self.is_message:
            for part in self.parts:
                yield from part.own_parts()


class _Budget:
    """How many parts may still be read."""

    def __init__(self) -> None:
        self.left = _PARTS


def parse_message(raw: bytes) -> Part:
    """A message as it came over the wire.

    Raises:
        Unreadable: it has no headers.
    """
    text = _CARRIAGE_RETURNS.sub(_line_ends, raw.removeprefix(codecs.BOM_UTF8)).lstrip(b"\n")
    message = _message(text, _Budget(), 0)
    if not len(message.headers):
        raise Unreadable("is no e-mail message: it has no headers")
    return message


def _line_ends(found: re.Match[bytes]) -> bytes:
    """CRLF, also with several CR (programs that take their own CRLF for LF write it), is one line end; so is a CR."""
    return b"\n" if found[0].endswith(b"\n") else b"\n" * len(found[0])


def read_fields(text: str, *, diagnostic: str | None = None) -> list[Headers]:
    """Groups of fields with blank lines between them, as delivery and feedback reports are written.

    A group may be indented as a whole. Lines that are no fields are left out; behind the field `diagnostic` they
    belong to it: a diagnostic of several lines that nobody folded.
    """
    groups: list[list[tuple[str, str]]] = [[]]
    indent = 0
    for line in text.split("\n")[: _FIELDS * 4]:
        group = groups[-1]
        if not line.strip():
            if group:
                groups.append([])
            continue
        depth = len(line) - len(line.lstrip(" \t"))
        if not group:
            indent = depth
        found = None if depth > indent else _FIELD.match(line, depth)
        if found is not None:
            group.append((found[1], found[2]))
        elif group and (depth > indent or group[-1][0].lower() == diagnostic):
            name, value = group[-1]
            group[-1] = name, f"{value} {line.strip()}"[:_VALUE]
    return [Headers([(name, _flat(value)) for name, value in group]) for group in groups if group]


def _message(raw: bytes, budget: _Budget, depth: int) -> Part:
    headers, body = _split_headers(raw)
    return _part(headers, body, budget, depth, "text/plain")


def _part(headers: Headers, body: bytes, budget: _Budget, depth: int, default: str) -> Part:
    named = _TYPE.match(headers.get("content-type"))
    part = Part(headers, body, default if named is None else f"{named[1]}/{named[2]}".lower())
    if depth >= _DEPTH or budget.left <= 0:
        return part
    if part.kind.startswith("multipart/"):
        inner = "message/rfc822" if part.kind == "multipart/digest" else "text/plain"
        for section in _sections(body, headers.get("content-type")):
            if budget.left <= 0:
                break
            budget.left -= 1
            part.parts.append(_part(*_split_headers(section), budget, depth + 1, inner))
        if not part.parts:
            part.kind = "text/plain"
    elif part.kind in _WHOLE_MESSAGES or _is_message_file(part):
        part.kind = "message/rfc822"
        budget.left -= 1
        part.parts.append(_message(part.content().lstrip(b"\n"), budget, depth + 1))
    elif part.kind in _HEADERS_ALONE:
        part.parts.append(Part(_split_headers(part.content().lstrip(b"\n"))[0], b""))
    return part


def _is_message_file(part: Part) -> bool:
    fields = (";" + part.headers.get(name) for name in ("content-type", "content-disposition"))
    return part.kind in _FILES and any(_FILE.search(value) for value in fields)


def _sections(body: bytes, content_type: str) -> Iterator[bytes]:
    """What stands between the boundary's lines; the last to the end where its closing line is missing. Where the
    header's boundary is not that of the body, it is the line in front of the first part's headers.
    """
    found = _BOUNDARY.search(";" + content_type.partition(";")[2])
    mark = b"" if found is None else (found[1] or found[2]).rstrip().encode("utf-8", "replace")
    if not mark or b"--" + mark not in body:
        first = _BEGINS_A_PART.search(body)
        if first is None:
            return
        mark = first[1]
    start: int | None = None
    for line in re.finditer(rb"^--" + re.escape(mark) + rb"(--)?[ \t]*(?:\n|\Z)", body, re.MULTILINE):
        if start is not None:
            yield body[start : max(start, line.start() - 1)]
        start = line.end()
        if line[1]:
            return
    if start is not None:
        yield body[start:]


def _split_headers(raw: bytes) -> tuple[Headers, bytes]:
    """A block of headers and what follows it: behind a blank line, or at the first line that is no header."""
    fields: list[tuple[str, str]] = []
    at = 0
    while at < len(raw) and len(fields) < _FIELDS:
        end = raw.find(b"\n", at)
        end = len(raw) if end < 0 else end
        line = raw[at:end]
        if not line.strip():
            at = end + 1
            break
        text = _decode(line[:_VALUE], "utf-8")
        if text[0] in " \t":
            if fields:
                fields[-1] = fields[-1][0], f"{fields[-1][1]}{text}"[:_VALUE]
        elif (found := _FIELD.match(text)) is not None:
            fields.append((found[1], found[2]))
        elif not text.startswith(("From ", ">From ")):
            break
        at = end + 1
    return Headers([(name, _flat(value)) for name, value in fields]), raw[at:]


def _flat(text: str) -> str:
    return _BLANKS.sub(" ", _CONTROLS.sub(" ", text)).strip()


def _decode(data: bytes, charset: str) -> str:
    """Text in a charset; bytes that are none in it as they would be in UTF-8, else as in Latin-1."""
    if _SHIFTS.search(data) is not None:  # seven bits, whatever is declared
        charset = "iso2022_jp"
    try:
        known = codecs.lookup(charset).name
        if known not in _NO_CHARSETS:
            return data.decode(known, "strict" if known == "utf-8" else "replace")
    except (LookupError, ValueError):
        pass
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _decode_words(text: str) -> str:
    if "=?" not in text:
        return text

    def decoded(word: re.Match[str]) -> str:
        data = word[3].encode("utf-8", "replace")
        is_base64 = word[2].lower() == "b"
        return _decode(_unbase64(data) if is_base64 else quopri.decodestring(data, header=True), word[1])

    return _flat(_WORD.sub(decoded, _BETWEEN_WORDS.sub(r"\1", text)))


def _unbase64(data: bytes) -> bytes:
    """As much as can be decoded."""
    clean = _NO_BASE64.sub(b"", data)
    whole = clean[: len(clean) // 4 * 4]
    rest = clean[len(whole) :]
    try:
        return base64.b64decode(whole) + (
            base64.b64decode(rest + b"=" * (4 - len(rest))) if len(rest) > 1 else b""
        )
    except binascii.Error:
        return b""
