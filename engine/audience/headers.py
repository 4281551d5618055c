"""What a record of a table is in the light of its header: the header, the header again, a row, nothing, or a mistake.

Files that were joined have a header wherever two of them met, perhaps with other columns or in another order. A record
is one when it names all columns again, or has in the column that identifies (absent: the first) that column's own name;
numbers and e-mail addresses are no names of columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from engine.filters.numerals import reads_number
from engine.filters.texts import fold
from engine.kernel.blanks import BLANKS

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Fields", "Header"]

#: A file of DOS may end with it.
_NOTHING = BLANKS + "\x1a"


class Fields(NamedTuple):
    """One record, or what is wrong with it."""

    line: int
    """Where it starts, from 1."""
    values: list[str]
    trouble: str | None = None
    is_header: bool = False
    """Whether it names the columns of those that follow. What was named before is spelled as it was then."""
    note: str | None = None
    """What is odd about it and costs nothing."""


class Header:
    """The columns in force.

    Args:
        key: The column that identifies, if the caller knows one.
    """

    def __init__(self, key: str | None = None) -> None:
        self._key = None if key is None else fold(key.strip(_NOTHING))
        self.names: list[str] | None = None
        """None until the first record; without nameless columns at the end."""
        self._folded: list[str] = []
        self._words: frozenset[str] = frozenset()
        self._position = 0

    def read(self, line: int, values: list[str]) -> Fields | None:
        """The record that the values are; None when they are all blank."""
        if not values or (not values[0].strip(_NOTHING) and not any(cell.strip(_NOTHING) for cell in values)):
            return None
        if self.names is None:
            self._take(values)
            return Fields(line, values, is_header=True, note=self._surplus(values))
        if self._may_be_header(values) and self._is_header(values):
            before, spelling = self._folded, dict(zip(self._folded, self.names, strict=True))
            values = [spelling.get(fold(cell.strip(_NOTHING)), cell) for cell in values]
            self._take(values)
            same = before == self._folded
            note = "is the header again" if same else "is a header; its columns count from here on"
            return Fields(line, values, is_header=True, note=note)
        width = len(self.names)
        if len(values) == width:
            return Fields(line, values)
        if len(values) < width or any(cell.strip(_NOTHING) for cell in values[width:]):
            return Fields(line, [], f"has {len(values)} fields where the header has {width}")
        return Fields(line, values[:width], note=self._surplus(values))

    def _take(self, values: Sequence[str]) -> None:
        names = [cell.strip(_NOTHING) for cell in values]
        while not names[-1]:
            names.pop()
        self.names = names
        self._folded = [fold(name) for name in names]
        self._words = frozenset((*names, *self._folded))
        if self._key in self._folded:
            self._position = self._folded.index(self._key)
        else:
            self._key, self._position = None, 0

    def _surplus(self, values: Sequence[str]) -> str | None:
        surplus = len(values) - len(self.names or ())
        return f"ends with {surplus} empty fields, which are left out" if surplus > 0 else None

    def _may_be_header(self, values: Sequence[str]) -> bool:
        """Whether it is worth a closer look."""
        return not self._words.isdisjoint(values) or values[0].strip(_NOTHING).lower() in self._words

    def _is_header(self, values: Sequence[str]) -> bool:
        cells = [fold(cell.strip(_NOTHING)) for cell in values]
        while not cells[-1]:
            cells.pop()
        if cells == self._folded:
            return True
        if not all(cells) or len(set(cells)) < len(cells):
            return False
        if any("@" in cell or reads_number(cell) for cell in cells):
            return False
        known = sum(cell in self._words for cell in cells)
        if known == len(cells) == len(self._folded):
            return True
        if self._key is not None and self._key in cells:
            at_its_place = self._position < len(cells) and cells[self._position] == self._key
            return at_its_place or known * 2 >= len(cells)
        at_their_place = sum(map(str.__eq__, cells, self._folded))
        return cells[0] == self._folded[0] and at_their_place * 2 >= len(cells)
