"""CSS of `<style>` written into the elements' own `style` (css-inline): for mail programs that drop style sheets.

Done once, when a template is compiled, and not for each recipient: Liquid is put aside meanwhile. What cannot stand in
an element stays in `<style>`: media queries, `:hover`, fonts. Nothing is fetched: a linked style sheet stays a link.
The work is bounded by rules times elements.
"""

from __future__ import annotations

import re
from functools import lru_cache

import css_inline

from engine.content.errors import TemplateError
from engine.content.liquid_marks import LiquidMarks

__all__ = ["inline_styles"]

#: Selectors times elements: less than a second.
_MOST = 3_000_000
_RAW = frozenset({"style", "title", "textarea", "script", "xmp", "noscript"})
_TAG = re.compile(
    r"</?([A-Za-z][A-Za-z0-9:-]*)(?:[^>\"']|\"[^\"]*\"|'[^']*')*+>|<!--.*?-->|<[!?][^>]*>", re.DOTALL
)
_QUOTED = re.compile(r"=\s*(?:\"[^\"]*\"|'[^']*')")
_STYLE = re.compile(r"<style\b[^>]*>(.*?)</style", re.DOTALL | re.IGNORECASE)
_DOCTYPE = re.compile(r"\s*<!doctype[^>]*>", re.IGNORECASE)
_ELEMENT = re.compile(r"<[A-Za-z]")


@lru_cache(maxsize=1)
def _inliner() -> css_inline.CSSInliner:
    return css_inline.CSSInliner(
        load_remote_stylesheets=False,
        keep_link_tags=True,
        keep_style_tags=True,
        keep_at_rules=True,
        remove_inlined_selectors=True,
    )


def inline_styles(html: str, *, field: str) -> str:
    """HTML, with Liquid in it, whose elements have the styles that its style sheets give them.

    Args:
        field: Of the template, for errors.

    Raises:
        TemplateError: Liquid stands where it cannot stay, the work is too much, or the CSS cannot be used.
    """
    if "<style" not in html.lower():
        return html
    marks = LiquidMarks(html, field=field, program="inlining of CSS")
    selectors = sum(css.count("{") + css.count(",") for css in _STYLE.findall(marks.marked))
    if selectors * len(_ELEMENT.findall(marks.marked)) > _MOST:
        raise TemplateError(field, 1, "has too many styles and elements to inline; take inline_css away")
    source = _as_comments(marks, field)
    try:
        made = _inliner().inline(source)
    except (css_inline.InlineError, ValueError) as error:
        raise TemplateError(field, 1, f"its CSS cannot be inlined: {error}"[:300]) from None
    made = re.sub(f"<!--({marks.pattern.pattern})-->", r"\1", made)
    if (
        "<tbody" not in source.lower()
    ):  # a parser adds them, and one would begin inside a loop and end outside
        made = made.replace("<tbody>", "").replace("</tbody>", "")
    doctype = _DOCTYPE.match(marks.marked)
    if doctype is not None:  # an old one asks browsers for their old ways, and its words are lost
        made = _DOCTYPE.sub(lambda _: doctype[0].strip(), made, count=1)
    return marks.restore(made)


def _as_comments(marks: LiquidMarks, field: str) -> str:
    """The source with marks between elements as comments, which a parser leaves where they are, also in a table."""
    source = marks.marked
    pieces: list[str] = []
    done = position = 0
    while (start := source.find("<", position)) >= 0:
        tag = _TAG.match(source, start)
        if tag is None:
            position = start + 1
            if source.find(">", start) < 0:
                break
            continue
        end = tag.end()
        name = (tag[1] or "").lower()
        if name in _RAW and not source.startswith("</", start):
            closed = source.lower().find(f"</{name}", end)
            end = len(source) if closed < 0 else closed
        elif tag[1] is not None and (found := marks.pattern.search(_QUOTED.sub("=", tag[0]))) is not None:
            where = start + tag[0].find(found[0])
            raise TemplateError(
                field,
                marks.line_at(where),
                "Liquid in a tag, outside of an attribute's value, goes with no inline_css",
            )
        pieces += (marks.pattern.sub(r"<!--\g<0>-->", source[done:start]), source[start:end])
        done = position = end
    pieces.append(marks.pattern.sub(r"<!--\g<0>-->", source[done:]))
    return "".join(pieces)
