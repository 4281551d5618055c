"""What inline styles hide from a reader: the preheaders of messages, mostly.

Read is an element's own `style`; rules of style sheets are not. As in a browser `display: none`, `opacity: 0` and a box
without height or width hide all that is inside, and so does a place that is cut away or far outside the page;
`visibility: hidden`, `color: transparent` and a font of a pixel or less are inherited, and elements inside may take
them back.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["VISIBLE", "Visibility", "declarations", "style_visibility"]

_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_IMPORTANT = re.compile(r"\s*!\s*important\s*\Z", re.IGNORECASE)
_ZERO = re.compile(r"[+-]?(?:0+(?:\.0*)?|\.0+)(?:[a-z]+|%)?")
_LENGTH = re.compile(r"([+-]?(?:\d+(?:\.\d*)?|\.\d+))([a-z]+|%)?")
#: Of `font`: what stands before the line height or the family.
_FONT_SIZE = re.compile(r"(?:\A|\s)([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[a-z]+|%)?)(?:\s*/|\s+\D)")
_CUT_AWAY = re.compile(r"rect\(\s*(?:[01](?:px)?[\s,]*){4}\)")
_CUT_PATH = re.compile(r"inset\(\s*(?:[5-9]\d|100)%.*\)|(?:circle|ellipse)\(\s*0.*\)")
_SCALED_AWAY = re.compile(r"scale(?:x|y|3d)?\(\s*0(?:\.0*)?\s*[,)]")
_BOXES = ("height", "width", "max-width")
_PLACES = ("left", "right", "top", "bottom")
_MARGINS = ("margin-left", "margin-top")
#: Properties that decide on what is seen. A colour that is not known yet is taken for one that is seen.
_DECIDING = frozenset(
    {
        "clip",
        "clip-path",
        "display",
        "font",
        "font-size",
        "max-height",
        "mso-hide",
        "opacity",
        "overflow",
        "position",
        "text-indent",
        "transform",
        "visibility",
        *_BOXES,
        *_MARGINS,
        *_PLACES,
    }
)
#: A length so far to the left or above is outside of every page, in pixels.
_FAR = -900


class Visibility(NamedTuple):
    """How an element is seen."""

    removed: bool = False
    """It and all that is in it."""
    invisible: bool = False
    """`visibility`: inherited."""
    no_size: bool = False
    """`font-size`: inherited; text alone is concerned."""
    no_colour: bool = False
    """`color: transparent`: inherited; text alone is concerned."""
    outlook_hides: bool = False
    """`mso-hide: all`, which only Outlook obeys: of preheaders, and of links that Outlook is given in another form."""
    uncertain: bool = False
    """What decides is not known yet: it holds a mark."""

    @property
    def silent(self) -> bool:
        """Whether nobody reads its text."""
        return self.removed or self.invisible or self.no_size or self.no_colour


VISIBLE = Visibility()


def declarations(style: str) -> dict[str, str]:
    """Property → value, both in lower case; the last one counts, unless one before is `!important`."""
    found: dict[str, str] = {}
    important: set[str] = set()
    for declaration in _COMMENT.sub("", style).split(";"):
        name, _, value = declaration.partition(":")
        name, value = name.strip().lower(), value.strip().lower()
        plain = _IMPORTANT.sub("", value)
        if plain != value:
            important.add(name)
        elif name in important:
            continue
        found[name] = plain
    return found


def style_visibility(style: str, inherited: Visibility = VISIBLE, mark: str = "\0") -> Visibility:
    """How an element with that style is seen, inside one that is seen as `inherited`.

    Args:
        style: The attribute's value, character references replaced.
        inherited: Of the element around it.
        mark: A character that stands for what is not known yet.
    """
    given = declarations(style)
    uncertain = any(mark in name or (mark in value and name in _DECIDING) for name, value in given.items())
    clipped = given.get("overflow") in ("hidden", "clip")
    removed = (
        given.get("display") == "none"
        or _is_zero(given.get("opacity"))
        or _is_zero(given.get("max-height"))
        or (clipped and any(_is_zero(given.get(box)) for box in _BOXES))
        or _is_outside(given)
    )
    visibility = given.get("visibility")
    size, colour = _font_size(given), given.get("color")
    return Visibility(
        removed=inherited.removed or removed,
        invisible=inherited.invisible
        if visibility in (None, "inherit")
        else visibility in ("hidden", "collapse"),
        no_size=inherited.no_size if _is_relative(size) else _is_tiny(size),
        no_colour=inherited.no_colour if colour in (None, "inherit") else colour == "transparent",
        outlook_hides=given.get("mso-hide") == "all",
        uncertain=uncertain,
    )


def _is_zero(value: str | None) -> bool:
    return value is not None and _ZERO.fullmatch(value) is not None


def _is_tiny(size: str | None) -> bool:
    """Whether a font's size is one that nobody reads: a pixel at most."""
    length = _LENGTH.fullmatch(size or "")
    if length is None:
        return False
    return float(length[1]) == 0 or (length[2] in ("px", "pt") and float(length[1]) <= 1)


def _font_size(given: dict[str, str]) -> str | None:
    """`font-size`, or the one in `font`, whichever is written later."""
    size, font = given.get("font-size"), given.get("font")
    if font is None or (size is not None and list(given).index("font-size") > list(given).index("font")):
        return size
    found = _FONT_SIZE.search(font)
    return size if found is None else found[1]


def _is_outside(given: dict[str, str]) -> bool:
    """Whether an element, or its text, is where no reader sees it: cut away, made a point, or far off the page."""
    moved = given.get("position") in ("absolute", "fixed")
    offsets = ["text-indent", *_MARGINS, *(_PLACES if moved else ())]
    return (
        any(_is_far(given.get(offset)) for offset in offsets)
        or (moved and _CUT_AWAY.fullmatch(given.get("clip", "")) is not None)
        or _CUT_PATH.fullmatch(given.get("clip-path", "")) is not None
        or _SCALED_AWAY.search(given.get("transform", "")) is not None
    )


def _is_far(length: str | None) -> bool:
    found = _LENGTH.fullmatch(length or "")
    if found is None:
        return False
    pixels = {"em": 16, "rem": 16, "vw": 10, "vh": 10, "%": 10}.get(found[2] or "px", 1)
    return float(found[1]) * pixels <= _FAR


def _is_relative(size: str | None) -> bool:
    """Whether a font's size is none of its own: nothing times two is nothing."""
    if size is None or size in ("inherit", "smaller", "larger"):
        return True
    return size.endswith(("%", "em")) and not size.endswith("rem") and not _is_zero(size)
