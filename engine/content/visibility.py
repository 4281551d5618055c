"""What inline styles hide from a reader: the preheaders of messages, mostly.

Read is an element's own `style`; rules of style sheets are not. As in a browser `display: none`, `opacity: 0` and a box
without height or width hide all that is inside; `visibility: hidden` and `font-size: 0` are inherited, and elements
inside may take them back.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["VISIBLE", "Visibility", "declarations", "style_visibility"]

_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_IMPORTANT = re.compile(r"\s*!\s*important\s*\Z", re.IGNORECASE)
_ZERO = re.compile(r"[+-]?(?:0+(?:\.0*)?|\.0+)(?:[a-z]+|%)?")
_BOXES = ("height", "width", "max-width")
#: Properties that decide on what is seen.
_DECIDING = frozenset(
    {"display", "visibility", "opacity", "max-height", "overflow", "font-size", "font", "mso-hide", *_BOXES}
)


class Visibility(NamedTuple):
    """How an element is seen."""

    removed: bool = False
    """It and all that is in it."""
    invisible: bool = False
    """`visibility`: inherited."""
    no_size: bool = False
    """`font-size`: inherited; text alone is concerned."""
    outlook_hides: bool = False
    """`mso-hide: all`, which only Outlook obeys: of preheaders, and of links that Outlook is given in another form."""
    uncertain: bool = False
    """What decides is not known yet: it holds a mark."""

    @property
    def silent(self) -> bool:
        """Whether nobody reads its text."""
        return self.removed or self.invisible or self.no_size


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
    )
    visibility = given.get("visibility")
    size = given.get("font-size")
    return Visibility(
        removed=inherited.removed or removed,
        invisible=inherited.invisible
        if visibility in (None, "inherit")
        else visibility in ("hidden", "collapse"),
        no_size=inherited.no_size if _is_relative(size) else _is_zero(size),
        outlook_hides=given.get("mso-hide") == "all",
        uncertain=uncertain,
    )


def _is_zero(value: str | None) -> bool:
    return value is not None and _ZERO.fullmatch(value) is not None


def _is_relative(size: str | None) -> bool:
    """Whether a font's size is none of its own: nothing times two is nothing."""
    if size is None or size in ("inherit", "smaller", "larger"):
        return True
    return size.endswith(("%", "em")) and not size.endswith("rem") and not _is_zero(size)
