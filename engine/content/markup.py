"""MJML to HTML: once, when a template is saved; what is sent was made beforehand.

Liquid survives, and what MJML would drop or move is refused (engine.content.liquid_marks).

The source is checked before the compiler sees it, which names no lines, lets misspelt components through as they are
and overflows its stack on deep nesting: unknown components, elements that do not close, attributes without quotes and
`mj-include` (it would read the server's files) are refused with their line. The compiler also writes what is not plain
ASCII in an attribute as a programmer's escape, so it is given character references.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import mjml

from engine.content.errors import TemplateError
from engine.content.liquid_marks import LiquidMarks
from engine.kernel.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["compile_mjml"]

_FIELD = "mjml"
#: The compiler recurses: some ten thousand levels end the process.
_DEPTH = 100
_COMPONENTS = frozenset(
    {"mjml", "mj-head", "mj-body", "mj-attributes", "mj-all", "mj-class", "mj-breakpoint", "mj-font"}
    | {"mj-preview", "mj-style", "mj-title", "mj-accordion", "mj-accordion-element", "mj-accordion-title"}
    | {"mj-accordion-text", "mj-button", "mj-carousel", "mj-carousel-image", "mj-column", "mj-divider"}
    | {"mj-group", "mj-hero", "mj-image", "mj-navbar", "mj-navbar-link", "mj-raw", "mj-section", "mj-social"}
    | {"mj-social-element", "mj-spacer", "mj-table", "mj-text", "mj-wrapper"}
)
_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
)
_MARKUP = re.compile(
    r"""<!--.*?-->|<!doctype[^<>]*>|
        <(?P<close>/?)(?P<name>[A-Za-z][A-Za-z0-9:-]*)
        (?P<attributes>(?:\s+[^\s=<>/"']+(?:\s*=\s*(?:"[^"<>]*"|'[^'<>]*'))?)*)\s*(?P<empty>/?)>""",
    re.DOTALL | re.IGNORECASE | re.VERBOSE,
)
_VALUE = re.compile(r"""=\s*(?:"([^"]*)"|'([^']*)')""")
_ESCAPED = re.compile(r"""[^ !#-\[\]-~]""")
_POSITION = re.compile(r" in root template(?: at position \d+:\d+)?")


def compile_mjml(source: str) -> str:
    """The HTML of an MJML document.

    Raises:
        TemplateError: of the field `mjml`, with the line.
    """
    marks = LiquidMarks(source, field=_FIELD, program="MJML")
    checked = _checked(marks.marked, marks.line_at)
    try:
        html = mjml.mjml2html(checked)
    except ValueError as error:
        raise TemplateError(_FIELD, 1, _POSITION.sub("", str(error))) from None
    return marks.restore(html)


def _checked(marked: str, line_at: Callable[[int], int]) -> str:
    """The source as the compiler may have it."""
    pieces: list[str] = []
    open_: list[tuple[str, int]] = []
    done, position = 0, marked.find("<")
    while position >= 0:
        match = _MARKUP.match(marked, position)
        if match is None:
            raise TemplateError(
                _FIELD, line_at(position), "a '<' that begins no element; is a quote missing?"
            )
        if match["name"] is not None:
            if not (pieces or done or open_) and match["name"].lower() != "mjml":
                raise TemplateError(_FIELD, line_at(position), "begins with <mjml>")
            _element(match, open_, line_at)
            if match["attributes"]:
                start, end = match.span("attributes")
                pieces += (marked[done:start], _VALUE.sub(_referenced, match["attributes"]))
                done = end
        position = marked.find("<", match.end())
    if open_:
        name, start = open_[-1]
        raise TemplateError(_FIELD, line_at(start), f"<{name}> is not closed")
    return "".join((*pieces, marked[done:]))


def _referenced(match: re.Match[str]) -> str:
    """An attribute's value in plain ASCII."""
    value = (match[1] if match[1] is not None else match[2]).replace("\n", " ").replace("\t", " ")
    return '="' + _ESCAPED.sub(lambda found: f"&#{ord(found[0])};", value) + '"'


def _element(match: re.Match[str], open_: list[tuple[str, int]], line_at: Callable[[int], int]) -> None:
    name = match["name"].lower()
    if name == "mj-include":
        raise TemplateError(
            _FIELD, line_at(match.start()), "<mj-include> is not available: write what it includes"
        )
    if name.startswith("mj") and name not in _COMPONENTS:
        hint = did_you_mean(name, _COMPONENTS)
        raise TemplateError(_FIELD, line_at(match.start()), f"<{name}> is no component of MJML{hint}")
    if match["close"]:
        if not open_ or open_[-1][0] != name:
            expected = f"; <{open_[-1][0]}> of line {line_at(open_[-1][1])} is open" if open_ else ""
            raise TemplateError(_FIELD, line_at(match.start()), f"</{name}> closes nothing{expected}")
        open_.pop()
    elif not match["empty"] and name not in _VOID:
        open_.append((name, match.start()))
        if len(open_) > _DEPTH:
            raise TemplateError(_FIELD, line_at(match.start()), f"nests more than {_DEPTH} elements deep")
