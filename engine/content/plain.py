"""The text part of a message that was written in HTML alone.

`html_to_text` reads HTML and writes what a person would: paragraphs apart, lists with dashes and numbers,
links with their address behind them, table cells in a row, nothing of scripts and styles, and nothing that inline
styles hide (`engine.content.visibility`). It never fails: of broken HTML it gives what a browser shows.

Parsing HTML costs milliseconds, so `text_template` turns the HTML *template* into a text template once, with
its Liquid kept in place; that is refused (None) where the two orders could differ, and then the rendered
HTML is converted for each recipient instead.
"""

from __future__ import annotations

import re
from collections import Counter
from html import unescape
from typing import NamedTuple

from engine.content.html_tokens import VOID_ELEMENTS, StartTag, Text, html_tokens, liquid_spans
from engine.content.visibility import VISIBLE, Visibility, style_visibility

__all__ = ["html_to_text", "text_template"]

_SKIPPED = frozenset({"head", "script", "style", "title", "template", "noscript", "svg", "object"})
_PARAGRAPHS = frozenset(
    {"p", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "table", "pre", "dl", "figure"}
)
_LINES = frozenset(
    {
        "div",
        "tr",
        "section",
        "article",
        "header",
        "footer",
        "main",
        "nav",
        "aside",
        "form",
        "dt",
        "dd",
        "address",
    }
    | {
        "fieldset",
        "figcaption",
        "body",
        "html",
        "center",
        "thead",
        "tbody",
        "tfoot",
        "caption",
        "legend",
        "hr",
    }
)
_LISTS = frozenset({"ul", "ol"})
_LINKS = frozenset({"a", "area", "button"})
#: What a start tag closes although nobody said so (HTML, "optional tags"); paragraphs end before any block.
_CLOSES = {
    "li": ("li",),
    "dt": ("dt", "dd"),
    "dd": ("dt", "dd"),
    "td": ("td", "th"),
    "th": ("td", "th"),
    "tr": ("td", "th", "tr"),
    "a": ("a",),
    "body": ("head",),
}
#: Nothing outside of these is closed by a start tag inside, and it is not looked for further out than that.
_BOUNDARIES = frozenset({"table", "ul", "ol", "dl", "button", "object"})
_LEVELS = 64
_SPACE = re.compile(r"[ \t\n\r\f\u00a0]+")

#: Private-use characters around the number of a Liquid construct; those of tags take no room.
_OUTPUT, _TAG, _END = "\ue000", "\ue001", "\ue002"
_MARKS = re.compile(f"([{_OUTPUT}{_TAG}])(\\d+){_END}")
_TAGS = re.compile(f"({_TAG}\\d+{_END})")
_TAG_NAME = re.compile(r"\{%\s*(\w*)")
_KEPT_TAGS = frozenset(
    {"if", "elsif", "else", "endif", "unless", "endunless", "case", "when", "endcase"}
    | {"for", "endfor", "break", "continue"}
)
_HTML_FILTERS = re.compile(r"\|\s*(safe|escape|escape_once|newline_to_br|strip_html|escapejs)\b")


class _Open(NamedTuple):
    """An element that is open."""

    name: str
    seen: Visibility
    written: _Written | None
    """What was written before it, if that is gone back to when it closes."""


class _Written(NamedTuple):
    """How far a writer is."""

    pieces: int
    newlines: int
    space: bool
    started: bool


class _Writer:
    """Collects text; blank lines and spaces are owed, and paid only before the next word."""

    def __init__(self) -> None:
        self.uncertain = False
        """Whether what is hidden depends on Liquid."""
        self._out: list[str] = []
        self._started = False
        self._newlines = 0
        self._space = False
        self._elements: list[_Open] = []
        self._open_names: Counter[str] = Counter()
        self._lists: list[int | None] = []
        self._links: list[tuple[str, int]] = []
        self._preformatted = 0
        self._latest_picture_or_link = 0

    def text(self) -> str:
        """Everything written so far."""
        while self._elements:
            self._close()
        return "".join(self._out).strip("\n")

    def feed(self, html: str) -> None:
        """Write what HTML says."""
        for token in html_tokens(html):
            if isinstance(token, Text):
                self._data(unescape(token.raw))
            elif isinstance(token, StartTag):
                self._start(token)
            else:
                self._end(token.name)

    @property
    def _seen(self) -> Visibility:
        return self._elements[-1].seen if self._elements else VISIBLE

    def _start(self, tag: StartTag) -> None:
        name = tag.name
        self._close_implied(name)
        around = self._seen
        style = tag.get("style")
        seen = around if style is None else style_visibility(style, around, _OUTPUT)
        self.uncertain = self.uncertain or seen.uncertain
        if name in _SKIPPED or tag.get("hidden") is not None:
            seen = seen._replace(removed=True)
        before = None
        if seen.outlook_hides and name not in _LINKS:
            before = _Written(len(self._out), self._newlines, self._space, self._started)
        seen = seen._replace(outlook_hides=False, uncertain=False)
        if name not in VOID_ELEMENTS:
            self._elements.append(_Open(name, seen, before))
            self._open_names[name] += 1
        if not seen.removed:
            self._break(name)
            self._open(tag, seen)

    def _close_implied(self, name: str) -> None:
        """Close what a start tag closes without saying so: the paragraph, list item or cell before it."""
        closed = _CLOSES.get(name, ()) or (("p",) if name in _PARAGRAPHS | _LINES | _LISTS else ())
        if not any(self._open_names[one] for one in closed):
            return
        for at in range(len(self._elements) - 1, max(len(self._elements) - _LEVELS, 0) - 1, -1):
            one = self._elements[at].name
            if one in closed:
                self._close_from(at)
                return
            if one in _BOUNDARIES:
                return

    def _close_from(self, at: int) -> None:
        while len(self._elements) > at:
            self._close()

    def _close(self) -> None:
        """Close the innermost element."""
        element = self._elements.pop()
        self._open_names[element.name] -= 1
        if element.name == "a" and not (element.seen.removed or element.seen.invisible):
            self._address(*self._links.pop())
        before = element.written
        if before is not None and self._latest_picture_or_link <= before.pieces and not element.seen.removed:
            del self._out[before.pieces :]
            self._newlines, self._space, self._started = before.newlines, before.space, before.started

    def _open(self, tag: StartTag, seen: Visibility) -> None:
        match tag.name:
            case "br":
                self._newlines += 1
                self._space = False
            case "ul" | "ol":
                self._owe(1 if self._lists else 2)
                self._lists.append(0 if tag.name == "ol" else None)
            case "li":
                self._item()
            case "td" | "th":
                self._space = True
            case "img":
                if not seen.invisible:
                    self._write(tag.get("alt") or "")
                    self._latest_picture_or_link = len(self._out) + 1
            case "a" if not seen.invisible:
                self._links.append((tag.get("href") or "", len(self._out)))
            case "hr":
                self._write("---")
                self._owe(1)
            case "pre":
                self._preformatted += 1

    def _end(self, name: str) -> None:
        removed = self._seen.removed
        if self._open_names[name]:
            at = len(self._elements) - 1
            while self._elements[at].name != name:
                at -= 1
            removed = self._elements[at].seen.removed
            self._close_from(at)
        if removed:
            return
        if name in _LISTS:
            if self._lists:
                self._lists.pop()
            self._owe(1 if self._lists else 2)
        elif name == "pre" and self._preformatted:
            self._preformatted -= 1
        self._break(name)

    def _data(self, data: str) -> None:
        if self._seen.silent:
            return
        if self._preformatted:
            first, *others = data.replace("\r\n", "\n").split("\n")
            self._write(first, spaced=False)
            for line in others:
                self._newlines += 1
                self._write(line, spaced=False)
            return
        for position, piece in enumerate(_TAGS.split(data)):
            if position % 2:
                self._mark(piece)
                continue
            words = _SPACE.sub(" ", piece)
            if words.startswith(" "):
                self._space = True
            self._write(words.strip(" "))
            if words.endswith(" "):
                self._space = True

    def _mark(self, mark: str) -> None:
        """Keep the place of a Liquid tag. What follows may come again, or not at all, with its line break."""
        if self._lists and self._newlines > 1:
            self._out.append("\n" * (self._newlines - 1))
            self._newlines = 1
        self._out.append(mark)
        self._started = True

    def _break(self, tag: str) -> None:
        if tag in _PARAGRAPHS:
            self._owe(2)
        elif tag in _LINES:
            self._owe(1)

    def _owe(self, newlines: int) -> None:
        self._newlines = max(self._newlines, newlines)
        self._space = False

    def _write(self, words: str, *, spaced: bool = True) -> None:
        if not words:
            return
        if self._started and self._newlines:
            self._out.append("\n" * self._newlines)
        elif self._started and self._space and spaced:
            self._out.append(" ")
        self._newlines = 0
        self._space = False
        self._started = True
        self._out.append(words)

    def _item(self) -> None:
        self._owe(1)
        depth = max(len(self._lists) - 1, 0)
        number = self._lists[-1] if self._lists else None
        if number is not None:
            number = self._lists[-1] = number + 1
        self._write("  " * depth + ("-" if number is None else f"{number}."))
        self._space = True

    def _address(self, target: str, since: int) -> None:
        """Put a link's address behind its words, unless they say it already."""
        said = "".join(self._out[since:]).strip()
        if not target or target.startswith("#") or target.lower().startswith("javascript:"):
            return
        shown = target.removeprefix("mailto:").removeprefix("tel:")
        if said in (target, shown):
            return
        self._space = bool(said)
        self._write(f"({shown})" if said else shown)
        self._latest_picture_or_link = len(self._out)


def html_to_text(html: str) -> str:
    """The text of an HTML document, with line feeds between lines and none at the ends."""
    writer = _Writer()
    writer.feed(html)
    return writer.text()


def text_template(html: str) -> str | None:
    """The Liquid text template that gives what the HTML template says, or None (see the module's promise)."""
    if any(character in html for character in (_OUTPUT, _TAG, _END)):
        return None
    constructs: list[str] = []
    pieces: list[str] = []
    done = 0
    for start, end in liquid_spans(html):
        construct = html[start:end]
        kind = _OUTPUT if construct.startswith("{{") else _TAG
        pieces += (html[done:start], f"{kind}{len(constructs)}{_END}")
        constructs.append(construct)
        done = end
    if not all(map(_keeps, constructs)):
        return None
    tags = [index for index, construct in enumerate(constructs) if construct.startswith("{%")]
    if tags and re.search(r"<ol\b", html, re.IGNORECASE):
        return None  # the numbers of a repeated or conditional item are known only when it is rendered
    writer = _Writer()
    writer.feed("".join((*pieces, html[done:])))
    text = writer.text()
    if writer.uncertain or "{{" in text or "{%" in text:
        return None  # written as character references, it would come alive
    if [int(index) for kind, index in _MARKS.findall(text) if kind == _TAG] != tags:
        return None
    return _MARKS.sub(lambda match: constructs[int(match.group(2))], text)


def _keeps(construct: str) -> bool:
    """Whether a construct means the same in text as in HTML."""
    if construct[2:3] == "-" or construct[-3:-2] == "-":
        return False  # it eats white space, of which text has other
    if construct.startswith("{{"):
        return not ("<" in construct or "&" in construct or _HTML_FILTERS.search(construct))
    name = _TAG_NAME.match(construct)
    return name is not None and name.group(1) in _KEPT_TAGS
