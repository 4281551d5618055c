"""The text part of a message that was written in HTML alone.

`html_to_text` reads HTML and writes what a person would: paragraphs apart, lists with dashes and numbers,
links with their address behind them, table cells in a row, nothing of scripts, styles and hidden preheaders.
It never fails: broken HTML gives the text that is in it.

Parsing HTML costs milliseconds, so `text_template` turns the HTML *template* into a text template once, with
its Liquid kept in place; that is refused (None) where the two orders could differ, and then the rendered
HTML is converted for each recipient instead.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

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
_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
)
_HIDDEN = re.compile(r"display\s*:\s*none", re.IGNORECASE)
_SPACE = re.compile(r"[ \t\n\r\f\u00a0]+")

#: Private-use characters around the number of a Liquid construct; those of tags take no room.
_OUTPUT, _TAG, _END = "\ue000", "\ue001", "\ue002"
_MARKS = re.compile(f"([{_OUTPUT}{_TAG}])(\\d+){_END}")
_TAGS = re.compile(f"({_TAG}\\d+{_END})")
_LIQUID = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_TAG_NAME = re.compile(r"\{%\s*(\w*)")
_KEPT_TAGS = frozenset(
    {"if", "elsif", "else", "endif", "unless", "endunless", "case", "when", "endcase"}
    | {"for", "endfor", "break", "continue"}
)
_HTML_FILTERS = re.compile(r"\|\s*(safe|escape|escape_once|newline_to_br|strip_html|escapejs)\b")


class _Writer(HTMLParser):
    """Collects text; blank lines and spaces are owed, and paid only before the next word."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._out: list[str] = []
        self._started = False
        self._newlines = 0
        self._space = False
        self._skipped: list[str] = []
        self._lists: list[int | None] = []
        self._links: list[tuple[str, int]] = []
        self._preformatted = 0

    def text(self) -> str:
        """Everything written so far."""
        self.close()
        return "".join(self._out).strip("\n")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._skipped:
            if tag == self._skipped[0]:
                self._skipped.append(tag)
            return
        given = dict(attrs)
        if tag not in _VOID and (tag in _SKIPPED or _is_hidden(given)):
            self._skipped.append(tag)
            return
        self._break(tag)
        self._open(tag, given)

    def _open(self, tag: str, given: dict[str, str | None]) -> None:
        match tag:
            case "br":
                self._newlines += 1
                self._space = False
            case "ul" | "ol":
                self._owe(1 if self._lists else 2)
                self._lists.append(0 if tag == "ol" else None)
            case "li":
                self._item()
            case "td" | "th":
                self._space = True
            case "img":
                self._write(given.get("alt") or "")
            case "a":
                self._links.append((given.get("href") or "", len(self._out)))
            case "hr":
                self._write("---")
                self._owe(1)
            case "pre":
                self._preformatted += 1

    def handle_endtag(self, tag: str) -> None:
        if self._skipped:
            if tag == self._skipped[-1]:
                self._skipped.pop()
            return
        if tag in ("ul", "ol"):
            if self._lists:
                self._lists.pop()
            self._owe(1 if self._lists else 2)
        elif tag == "a" and self._links:
            self._address(*self._links.pop())
        elif tag == "pre" and self._preformatted:
            self._preformatted -= 1
        self._break(tag)

    def handle_data(self, data: str) -> None:
        if self._skipped:
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


def _is_hidden(attributes: dict[str, str | None]) -> bool:
    return "hidden" in attributes or _HIDDEN.search(attributes.get("style") or "") is not None


def html_to_text(html: str) -> str:
    """The text of an HTML document, with line feeds between lines and none at the ends."""
    writer = _Writer()
    writer.feed(html)
    return writer.text()


def text_template(html: str) -> str | None:
    """The Liquid text template that gives what the HTML template says, or None (see the module's promise)."""
    constructs: list[str] = []

    def mark(match: re.Match[str]) -> str:
        constructs.append(match.group())
        return f"{_OUTPUT if match.group().startswith('{{') else _TAG}{len(constructs) - 1}{_END}"

    if any(character in html for character in (_OUTPUT, _TAG, _END)):
        return None
    marked = _LIQUID.sub(mark, html)
    if not all(map(_keeps, constructs)):
        return None
    tags = [index for index, construct in enumerate(constructs) if construct.startswith("{%")]
    if tags and re.search(r"<ol\b", html, re.IGNORECASE):
        return None  # the numbers of a repeated or conditional item are known only when it is rendered
    text = html_to_text(marked)
    if "{{" in text or "{%" in text:
        return None  # written as character references: it would come alive
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
