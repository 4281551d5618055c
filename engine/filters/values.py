"""How a database shows one JSON value, a list of them, and what its texts read as: the port of `predicate`.

`postgresql` and `sqlite` implement it; the property test holds both to the same answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import InstrumentedAttribute
    from sqlalchemy.sql.selectable import FromClause

    from engine.filters.comparisons import Holds, Same

__all__ = ["Attribute", "Dialect", "Value"]


@dataclass(frozen=True, slots=True)
class Value:
    """One JSON value."""

    kind: ColumnElement[str]
    """In the dialect's words, see `Dialect.string` and its siblings."""
    string: ColumnElement[str]
    """A text as it is; only looked at when `kind` is a text's. Cheaper than `text`."""
    text: ColumnElement[str]
    """A text as it is, a number's digits, true or false. Of lists and objects: undefined."""
    number: ColumnElement[Any]
    """A number as such; only looked at when `kind` is a number's."""


class Attribute(Protocol):
    """What stands under a key: nothing, one value, or a list."""

    @property
    def value(self) -> Value:
        """It as one value."""
        ...

    @property
    def is_list(self) -> ColumnElement[bool]:
        """Whether it is a list."""
        ...

    @property
    def is_empty(self) -> ColumnElement[bool]:
        """Whether it is absent, null, "" or a list without elements. Never NULL."""
        ...

    def elements(self) -> tuple[FromClause, Value]:
        """The elements of the list, as rows; evaluated only where `is_list`."""
        ...

    def same(self, test: Same) -> ColumnElement[bool]:
        """Whether it, or an element of it, is one of the literals. NULL counts as no."""
        ...


class Dialect(Protocol):
    """One database's words and functions."""

    @property
    def string(self) -> Sequence[str]:
        """What `Value.kind` says of a text."""
        ...

    @property
    def number(self) -> Sequence[str]:
        """What it says of a number."""
        ...

    @property
    def boolean(self) -> Sequence[str]:
        """What it says of true and false."""
        ...

    def attribute(self, key: str) -> Attribute:
        """The attribute under a key; a dotted key leads into nested objects unless it exists as it stands."""
        ...

    def id_text(self) -> ColumnElement[str]:
        """The entity's id in its usual form with hyphens."""
        ...

    def ordered(self, text: ColumnElement[str]) -> ColumnElement[str]:
        """The text, compared by code point."""
        ...

    def numeric(self, literal: str) -> ColumnElement[Any]:
        """A literal that reads as a number, to compare `Value.number` with."""
        ...

    def trimmed(self, text: ColumnElement[str]) -> ColumnElement[str]:
        """The text without blanks around it (`engine.kernel.blanks`)."""
        ...

    def number_of(self, text: ColumnElement[str]) -> ColumnElement[Any]:
        """`numerals.number_of`; NULL for None."""
        ...

    def day_of(self, text: ColumnElement[str]) -> ColumnElement[str]:
        """`dates.day_of`; NULL for None."""
        ...

    def second_of(self, text: ColumnElement[str]) -> ColumnElement[int]:
        """`dates.second_of`; NULL for None."""
        ...

    def zoned_second_of(self, text: ColumnElement[str]) -> ColumnElement[int]:
        """`dates.zoned_second_of`; NULL for None."""
        ...

    def holds(
        self, text: ColumnElement[str] | InstrumentedAttribute[str], test: Holds
    ) -> ColumnElement[bool]:
        """Whether the folded text contains the folded needle (`texts.fold`)."""
        ...
