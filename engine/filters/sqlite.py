"""Filters on SQLite: its JSON functions, and Python's where it has none (numbers, dates, letters in any case).

`json_extract` and its like parse a row's text once, however many of them a statement holds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    Float,
    Integer,
    String,
    case,
    cast,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
    type_coerce,
)
from sqlalchemy import Text as TextType

from engine.filters.dates import day_of, second_of, zoned_second_of
from engine.filters.numerals import json_number, number_of
from engine.filters.texts import fold
from engine.filters.values import Value
from engine.kernel.blanks import BLANKS
from state.tables import Entity

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import ColumnElement, Connection
    from sqlalchemy.orm import InstrumentedAttribute
    from sqlalchemy.sql.selectable import FromClause

    from engine.filters.comparisons import Holds, Same

__all__ = ["SQLite"]

#: Keys that a path finds as they are; others may stand escaped in the row's text.
_PLAIN_KEY = re.compile(r'[^"\\\x00-\x1f\x7f-\U0010ffff]+')

#: What SQLite cannot read by itself, as plain functions of a text.
_FUNCTIONS: dict[str, Callable[[str], str | int | float | None]] = {
    "muster_number": number_of,
    "muster_day": day_of,
    "muster_second": second_of,
    "muster_zoned_second": zoned_second_of,
    "muster_fold": fold,
}


def _of_text(function: Callable[[str], Any]) -> Callable[[Any], Any]:
    """The function of a text, as one of any value: NULL of what is none."""
    return lambda value: function(value) if isinstance(value, str) else None


def _raw(document: ColumnElement[Any], path: ColumnElement[str] | str) -> ColumnElement[str]:
    """The JSON text under a path."""
    return document.op("->", return_type=TextType())(literal(path, String) if isinstance(path, str) else path)


def _member(document: ColumnElement[Any], key: str) -> ColumnElement[str]:
    """The JSON text of an object's member."""
    if _PLAIN_KEY.fullmatch(key):
        return _raw(document, f'$."{key}"')
    # A path is compared with the key as the row's text has it, maybe escaped; `json_each` unescapes it.
    members = func.json_each(document).table_valued("key", "value", "type", "fullkey")
    if '"' in key:  # and no path at all can name a key with a quotation mark
        found: ColumnElement[str] = case(
            (members.c.type.in_(("true", "false", "null")), members.c.type),
            (members.c.type == "text", func.json_quote(members.c.value)),
            else_=cast(members.c.value, TextType),
        )
    else:
        found = _raw(document, members.c.fullkey)
    lookup = select(found).select_from(members).where(members.c.key == key).limit(1)
    return lookup.correlate_except(members).scalar_subquery()


@dataclass(frozen=True)
class _Attribute:
    """What stands under a path of a JSON document."""

    document: ColumnElement[Any]
    path: str
    value: Value

    @property
    def is_list(self) -> ColumnElement[bool]:
        return self.value.kind == "array"

    @property
    def is_empty(self) -> ColumnElement[bool]:
        return case(
            (func.coalesce(self.value.kind, "null") == "null", True),
            (self.value.kind == "text", func.json_extract(self.document, self.path) == ""),
            (self.is_list, func.json_array_length(self.document, self.path) == 0),
            else_=False,
        )

    def elements(self) -> tuple[FromClause, Value]:
        listed = func.json_each(self.document, self.path).table_valued(
            "key", "value", "type", joins_implicitly=True
        )
        raw = _raw(self.document, func.printf("%s[%d]", self.path, listed.c.key))
        return listed, _value(listed.c.type, listed.c.value, raw)

    def same(self, test: Same) -> ColumnElement[bool]:
        listed, element = self.elements()
        within = (
            select(literal_column("1"))
            .select_from(listed)
            .where(_is_same(element, test))
            .correlate(Entity)
            .exists()
        )
        return case((self.is_list, within), else_=_is_same(self.value, test))


def _value(kind: ColumnElement[str], extracted: ColumnElement[Any], raw: ColumnElement[str]) -> Value:
    text = case((kind == "text", extracted), (kind.in_(SQLite.number), raw), else_=kind)
    string = type_coerce(extracted, TextType)
    return Value(kind=kind, string=string, text=type_coerce(text, TextType), number=extracted)


def _is_same(value: Value, test: Same) -> ColumnElement[bool]:
    booleans = [text for text in test.literals if text in ("true", "false")]
    numbers = [number for text in test.literals if (number := json_number(text)) is not None]
    # Apart, because a list is bound as the type of its first one, and floats do not hold all integers.
    integers = [number for number in numbers if isinstance(number, int)]
    floats = [number for number in numbers if isinstance(number, float)]
    return case(
        (value.kind == "text", value.string.in_(test.literals)),
        (value.kind.in_(SQLite.number), or_(*(value.number.in_(alike) for alike in (integers, floats)))),
        else_=value.kind.in_(booleans),
    )


class SQLite:
    """The dialect.

    Args:
        connection: Where the filters are tried: it is given the functions that they call.
    """

    string = ("text",)
    number = ("integer", "real")
    boolean = ("true", "false")

    def __init__(self, connection: Connection) -> None:
        if "readings" not in connection.info:
            for name, function in _FUNCTIONS.items():
                connection.connection.driver_connection.create_function(  # type: ignore[union-attr]
                    name, 1, _of_text(function), deterministic=True
                )
            connection.info["readings"] = True

    def attribute(self, key: str) -> _Attribute:
        """See `Dialect`."""
        whole = type_coerce(Entity.attributes, TextType)
        segments = key.split(".")
        if len(segments) == 1 or not all(segments):
            if _PLAIN_KEY.fullmatch(key):
                return self._at(whole, f'$."{key}"')
            return self._at(_member(whole, key), "$")
        nested: ColumnElement[Any] = whole
        for segment in segments:
            nested = _member(nested, segment)
        return self._at(func.coalesce(_member(whole, key), nested, _scattered(whole, segments)), "$")

    def _at(self, document: ColumnElement[Any], path: str) -> _Attribute:
        kind = func.json_type(document, path, type_=String())
        value = _value(kind, func.json_extract(document, path), _raw(document, path))
        return _Attribute(document, path, value)

    def id_text(self) -> ColumnElement[str]:
        """See `Dialect`."""
        digits = type_coerce(Entity.id, String)
        parts = [
            func.substr(digits, start, length)
            for start, length in ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
        ]
        return func.printf("%s-%s-%s-%s-%s", *parts, type_=String())

    def ordered(self, text: ColumnElement[str]) -> ColumnElement[str]:
        """SQLite compares by code point by default."""
        return text

    def numeric(self, number: str) -> ColumnElement[Any]:
        """See `Dialect`."""
        return literal(json_number(number))

    def trimmed(self, text: ColumnElement[str]) -> ColumnElement[str]:
        """See `Dialect`."""
        return func.trim(text, BLANKS)

    def number_of(self, text: ColumnElement[str]) -> ColumnElement[Any]:
        """See `Dialect`."""
        return func.muster_number(text, type_=Float())

    def day_of(self, text: ColumnElement[str]) -> ColumnElement[str]:
        """See `Dialect`."""
        return func.muster_day(text, type_=String())

    def second_of(self, text: ColumnElement[str]) -> ColumnElement[int]:
        """See `Dialect`."""
        return func.muster_second(text, type_=Integer())

    def zoned_second_of(self, text: ColumnElement[str]) -> ColumnElement[int]:
        """See `Dialect`."""
        return func.muster_zoned_second(text, type_=Integer())

    def holds(
        self, text: ColumnElement[str] | InstrumentedAttribute[str], test: Holds
    ) -> ColumnElement[bool]:
        """See `Dialect`."""
        return func.instr(func.muster_fold(text), fold(test.needle)) > 0


def _scattered(whole: ColumnElement[Any], segments: list[str]) -> ColumnElement[str]:
    """The values at the end of a path that leads through lists, as a list; NULL when there are none.

    What PostgreSQL's lax JSON paths do: a list on the way stands for each of its elements, one level deep.
    """
    document: ColumnElement[Any] = whole
    levels = []
    for segment in segments:
        found = _member(document, segment)
        listed = case(
            (func.json_type(found) == "array", found),
            else_=literal("[").op("||")(found).op("||")(literal("]")),
        )
        level = func.json_each(listed).table_valued("key", "value", "type", joins_implicitly=True).alias()
        levels.append((listed, level))
        document = case((level.c.type == "object", level.c.value), else_=null())
    listed, last = levels[-1]
    each = _raw(listed, func.printf("$[%d]", last.c.key))
    joined = literal("[").op("||")(func.group_concat(each, ",")).op("||")(literal("]"))
    return select(joined).select_from(*(level for _, level in levels)).correlate(Entity).scalar_subquery()
