"""What many rendered texts have in common, and what differs.

Messages of one template differ in a few places. An API that takes one text with places, and values for each
recipient, is given exactly that: `pieces[0] + values[i][0] + pieces[1] + values[i][1] + …` is text `i`, whatever the
texts are. How well the places fit the template decides only about bytes.

Texts are compared at `<`, `>`, `"` and line breaks, which no value of a template adds to HTML, so texts with as many of
them (`shape_of`) stand beside each other piece by piece.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["SharedText", "shape_of", "share"]

_CUT = re.compile(r'([<>"\n])')


class SharedText(NamedTuple):
    """Texts of one shape."""

    pieces: tuple[str, ...]
    """One more than there are places."""
    values: tuple[tuple[str, ...], ...]
    """Those of each text, in the order of the texts."""

    def with_places(self, name: Callable[[int], str]) -> str:
        """The text with a name at each place."""
        written = [self.pieces[0]]
        for place, piece in enumerate(self.pieces[1:]):
            written += (name(place), piece)
        return "".join(written)


def shape_of(text: str) -> int:
    """Texts of one shape can be shared."""
    return sum(text.count(cut) for cut in '<>"\n')


def share(texts: Sequence[str]) -> SharedText:
    """What the texts have in common.

    Raises:
        ValueError: they are not of one shape, or there are none.
    """
    first = texts[0]
    if all(text == first for text in texts):
        return SharedText((first,), tuple(() for _ in texts))
    pieces: list[str] = [""]
    places: list[list[str]] = []
    for column in zip(*map(_CUT.split, texts), strict=True):
        if column.count(column[0]) == len(column):
            pieces[-1] += column[0]
            continue
        before, parts, behind = _trimmed(column)
        pieces[-1] += before
        if places and not pieces[-1]:  # right behind another place: one of both
            places[-1] = [value + part for value, part in zip(places[-1], parts, strict=True)]
            pieces[-1] = behind
        else:
            places.append(parts)
            pieces.append(behind)
    return SharedText(tuple(pieces), tuple(zip(*places, strict=True)))


def _trimmed(column: Sequence[str]) -> tuple[str, list[str], str]:
    """How all begin, the rest of each, and how all end."""
    before = _common_beginning(column)
    rest = [part[len(before) :] for part in column]
    behind = _common_beginning([part[::-1] for part in rest])[::-1]
    return before, [part[: len(part) - len(behind)] for part in rest], behind


def _common_beginning(texts: Sequence[str]) -> str:
    """What every text begins with: what the first and the last in order have in common."""
    first, last = min(texts), max(texts)
    for place, letter in enumerate(first):
        if letter != last[place : place + 1]:
            return first[:place]
    return first
