"""HTML as a browser's tokenizer reads it: tags with their attributes, text, and where each stands in the source.

The rules are those of the HTML standard ("Tokenization") as far as messages need them, in linear time whatever the
source holds: each character is passed once, and what is never closed is looked for once. Whatever a browser drops (a
tag that is never closed, comments, scripts) gives no token.

Liquid may stand anywhere in the source. `mask_liquid` puts a character of no meaning in the place of each of its own,
so that positions stay: no quotation mark or `>` of a Liquid construct ends an attribute or a tag.
"""

from __future__ import annotations

import re
from html import unescape
from html.entities import html5
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "VOID_ELEMENTS",
    "Attribute",
    "EndTag",
    "StartTag",
    "Text",
    "Token",
    "html_tokens",
    "liquid_spans",
    "mask_liquid",
    "unescape_attribute",
]

#: Elements without content and end tag.
VOID_ELEMENTS = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
)
#: Elements whose content is text to a browser, up to their end tag.
_RAW_TEXT = frozenset({"script", "style", "xmp", "iframe", "noembed", "noframes", "title", "textarea"})

#: Stands for each character of a Liquid output, and of a Liquid tag.
_OUTPUT, _TAG = "\ue010", "\ue011"
_OPENED = re.compile(r"\{\{|\{%")

_TAG_NAME = re.compile(r"<(/?)([A-Za-z][^\s/>]*)")
_BETWEEN = re.compile(rf"[\s/{_TAG}]*")
_ATTRIBUTE_NAME = re.compile(rf"[^\s/>{_TAG}][^\s/>={_TAG}]*")
_EQUALS = re.compile(r"\s*=\s*")
_UNQUOTED = re.compile(r"[^\s>]*")
_COMMENT_END = re.compile(r"--!?>")
_CONDITION = re.compile(r"<!--\[if\b[^>]*>", re.IGNORECASE)
_REFERENCE = re.compile(r"&(?:#[xX]?[0-9A-Fa-f]+;?|([A-Za-z][A-Za-z0-9]*)(;|=)?)")


class Attribute(NamedTuple):
    """An attribute of a tag."""

    name: str
    """In lower case."""
    value: str
    """As it stands in the source, without quotation marks; empty when there is none."""
    start: int
    """Where the value begins in the source, quotation marks included."""
    end: int
    quote: str
    """`"`, `'` or nothing."""

    @property
    def text(self) -> str:
        """The value as a browser reads it."""
        return unescape_attribute(self.value)


class StartTag(NamedTuple):
    """`<name …>`; the first of several attributes of one name counts."""

    name: str
    attributes: tuple[Attribute, ...]

    def get(self, name: str) -> str | None:
        """An attribute's value as a browser reads it; None when there is no such attribute."""
        return next((one.text for one in self.attributes if one.name == name), None)


class EndTag(NamedTuple):
    """`</name>`."""

    name: str


class Text(NamedTuple):
    """Characters between tags, as they stand in the source."""

    raw: str


Token = StartTag | EndTag | Text


def unescape_attribute(value: str) -> str:
    """An attribute's value with its character references replaced.

    A name without `;` is a reference only where neither `=` nor a letter or digit follows (HTML, "named character
    reference state"): `?a=1&copy=2&region=5` stays, `&amp;` and `&eacute` at the end do not.
    """
    return _REFERENCE.sub(_referenced, value) if "&" in value else value


def _referenced(found: re.Match[str]) -> str:
    name, behind = found[1], found[2]
    if name is None:
        return unescape(found[0])
    if behind == ";":
        return html5.get(f"{name};", found[0])
    return found[0] if behind == "=" else html5.get(name, found[0])


def liquid_spans(source: str) -> Iterator[tuple[int, int]]:
    """Where each Liquid output and tag begins and ends. What is never closed is text, and looked for once.

    What stands in `{% raw %}` and `{% comment %}` is read like the rest.
    """
    position = 0
    unclosed: set[str] = set()
    while (opened := _OPENED.search(source, position)) is not None:
        closing = "}}" if opened[0] == "{{" else "%}"
        end = -1 if closing in unclosed else source.find(closing, opened.end())
        if end < 0:
            unclosed.add(closing)
            position = opened.end()
            continue
        yield opened.start(), end + 2
        position = end + 2


def mask_liquid(source: str) -> str:
    """The source with a character of no meaning in place of each character of Liquid; positions stay."""
    pieces: list[str] = []
    done = 0
    for start, end in liquid_spans(source):
        mask = _OUTPUT if source.startswith("{{", start) else _TAG
        pieces += (source[done:start], mask * (end - start))
        done = end
    return "".join((*pieces, source[done:])) if pieces else source


def html_tokens(source: str, *, conditional_comments: bool = False) -> Iterator[Token]:
    """The tokens of HTML, in order.

    Args:
        source: With Liquid in it: masked (`mask_liquid`).
        conditional_comments: What stands between `<!--[if …]>` and `<![endif]-->` is read as well, as Outlook does.
    """
    position = text_from = 0
    while (position := source.find("<", position)) >= 0:
        tag = _TAG_NAME.match(source, position)
        if tag is None and source[position + 1 : position + 2] not in ("!", "?", "/"):
            position += 1  # it is text
            continue
        if position > text_from:
            yield Text(source[text_from:position])
        if tag is None:
            text_from = position = _after_comment(source, position, conditional_comments)
            continue
        attributes, text_from = _attributes(source, tag.end())
        position = text_from
        if position < 0:
            return
        name = tag[2].lower()
        if tag[1]:
            yield EndTag(name)
            continue
        yield StartTag(name, attributes)
        if name in _RAW_TEXT:
            text_from = position = _end_of_raw_text(source, name, position)
    if text_from < len(source):
        yield Text(source[text_from:])


def _attributes(source: str, position: int) -> tuple[tuple[Attribute, ...], int]:
    """The attributes of a tag, and where the source goes on behind its `>`; -1: it is never closed."""
    found: dict[str, Attribute] = {}
    size = len(source)
    while True:
        position = _end(_BETWEEN, source, position)
        if position >= size:
            return (), -1
        if source[position] == ">":
            return tuple(found.values()), position + 1
        name_end = _end(_ATTRIBUTE_NAME, source, position)
        name = source[position:name_end].lower()
        equals = _EQUALS.match(source, name_end)
        if equals is None:
            found.setdefault(name, Attribute(name, "", name_end, name_end, ""))
            position = name_end
            continue
        start = equals.end()
        quote = source[start : start + 1]
        if quote in ("'", '"'):
            closing = source.find(quote, start + 1)
            if closing < 0:
                return (), -1
            attribute = Attribute(name, source[start + 1 : closing], start, closing + 1, quote)
        else:
            end = _end(_UNQUOTED, source, start)
            attribute = Attribute(name, source[start:end], start, end, "")
        found.setdefault(name, attribute)
        position = attribute.end


def _end(pattern: re.Pattern[str], source: str, position: int) -> int:
    """Where a pattern's match ends that begins at a position; there when it does not match."""
    found = pattern.match(source, position)
    return position if found is None else found.end()


def _after_comment(source: str, position: int, conditional_comments: bool) -> int:
    """Where the source goes on behind a comment, a doctype or what a browser takes for one."""
    if not source.startswith("<!--", position):
        end = source.find(">", position)
        return len(source) if end < 0 else end + 1
    if conditional_comments and (condition := _CONDITION.match(source, position)) is not None:
        return condition.end()
    for empty in ("<!-->", "<!--->"):
        if source.startswith(empty, position):
            return position + len(empty)
    ended = _COMMENT_END.search(source, position + 4)
    return len(source) if ended is None else ended.end()


def _end_of_raw_text(source: str, name: str, position: int) -> int:
    """Where the end tag of an element begins whose content is text; the end of the source when there is none."""
    ended = re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE).search(source, position)
    return len(source) if ended is None else ended.start()
