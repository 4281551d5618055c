"""Filters on PostgreSQL: `jsonb` operators, and casts that are reached only by what can be cast.

Equality is containment (`attributes @> ANY(…)`), so a GIN index on `attributes` with `jsonb_path_ops` serves
it if an operator makes one; nothing here needs it, because audiences are walked by id.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Double,
    Integer,
    Numeric,
    String,
    Text,
    any_,
    case,
    cast,
    collate,
    func,
    literal,
    literal_column,
    or_,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import JSONB, JSONPATH

from engine.audience.comparisons import fold
from engine.audience.numerals import MAX_LENGTH, NUMBER_PATTERN, json_number
from engine.audience.values import Value
from state.tables import Entity

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import InstrumentedAttribute
    from sqlalchemy.sql.selectable import FromClause

    from engine.audience.comparisons import Holds, Same

__all__ = ["PostgreSQL"]

_DAY = "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_TIME = "[T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]+)?)?"
_ZONE = "(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9])"
_TIMED = f"{_DAY}{_TIME}{_ZONE}?$"
_REVERSED = "^(0[1-9]|[12][0-9]|3[01])(-(0[1-9]|1[0-2])-|[.](0[1-9]|1[0-2])[.])[0-9]{4}$"

#: Beyond this many values, single values are looked up in a hash instead of being contained one by one.
_FEW = 4


def _matches(text: ColumnElement[str], pattern: str) -> ColumnElement[bool]:
    return text.op("~", return_type=Boolean())(literal(pattern))


def _member(json_value: ColumnElement[Any], key: str) -> ColumnElement[Any]:
    return json_value.op("->", return_type=JSONB())(literal(key, Text))


def _jsonb_array(values: list[Any]) -> ColumnElement[Any]:
    return any_(literal(values, ARRAY(JSONB(none_as_null=False), dimensions=1)))


def _scalars(test: Same) -> list[Any]:
    """The JSON values that the literals stand for."""
    found: list[Any] = list(test.literals)
    found += [number for text in test.literals if (number := json_number(text)) is not None]
    found += [text == "true" for text in test.literals if text in ("true", "false")]
    return found


@dataclass(frozen=True)
class _Attribute:
    """One key of `Entity.attributes`."""

    key: str | None
    """The key when it is no dotted one, so that containment can be asked of the whole row (and of its
    index).
    """
    json: ColumnElement[Any]
    value: Value

    @property
    def is_list(self) -> ColumnElement[bool]:
        return self.value.kind == "array"

    @property
    def is_empty(self) -> ColumnElement[bool]:
        nothing = self.json == _jsonb_array([None, "", []])
        return or_(self.json.is_(None), nothing)

    def elements(self) -> tuple[FromClause, Value]:
        listed = (
            func.jsonb_array_elements(self.json).table_valued("value", joins_implicitly=True).render_derived()
        )
        derived = listed.render_derived()
        return derived, _value(type_coerce(derived.c.value, JSONB))

    def same(self, test: Same) -> ColumnElement[bool]:
        scalars = _scalars(test)
        if self.key is None or len(scalars) > _FEW:
            contains = self.json.op("@>", return_type=Boolean())(_jsonb_array(scalars))
            if len(scalars) <= _FEW:
                return contains
            return case((self.is_list, contains), else_=self.json == _jsonb_array(scalars))
        rows = [{self.key: form} for scalar in scalars for form in (scalar, [scalar])]
        return type_coerce(Entity.attributes, JSONB).op("@>", return_type=Boolean())(_jsonb_array(rows))


def _value(json_value: ColumnElement[Any], text: ColumnElement[str] | None = None) -> Value:
    if text is None:
        text = json_value.op("#>>", return_type=Text())(literal_column("'{}'::text[]"))
    return Value(
        kind=func.jsonb_typeof(json_value, type_=String()),
        string=text,
        text=text,
        number=cast(json_value, Numeric),
    )


class PostgreSQL:
    """The dialect."""

    string = ("string",)
    number = ("number",)
    boolean = ("boolean",)

    def attribute(self, key: str) -> _Attribute:
        """See `Dialect`."""
        whole = type_coerce(Entity.attributes, JSONB)
        found = _member(whole, key)
        segments = key.split(".")
        if len(segments) == 1 or not all(segments):
            text = whole.op("->>", return_type=Text())(literal(key, Text))
            return _Attribute(key, found, _value(found, text))
        nested: ColumnElement[Any] = whole
        for segment in segments:
            nested = _member(nested, segment)
        # Lax mode looks into lists on the way: `addresses.city` finds the city of each address.
        path = "$" + "".join(f".{json.dumps(segment)}" for segment in segments) + "[*]"
        scattered = func.jsonb_path_query_array(whole, cast(literal(path, Text), JSONPATH), type_=JSONB())
        found = func.coalesce(
            found, nested, func.nullif(scattered, literal_column("'[]'::jsonb", JSONB)), type_=JSONB()
        )
        return _Attribute(None, found, _value(found))

    def id_text(self) -> ColumnElement[str]:
        """See `Dialect`."""
        return cast(Entity.id, Text)

    def ordered(self, text: ColumnElement[str]) -> ColumnElement[str]:
        """See `Dialect`."""
        return collate(text, "C")

    def numeric(self, number: str) -> ColumnElement[Any]:
        """See `Dialect`."""
        return cast(literal(number, Text), Numeric)

    def number_of(self, text: ColumnElement[str]) -> ColumnElement[Any]:
        """See `Dialect`."""
        short = func.char_length(text) <= MAX_LENGTH
        return case((short & _matches(text, NUMBER_PATTERN), cast(text, Double)))

    def day_of(self, text: ColumnElement[str]) -> ColumnElement[str]:
        """See `Dialect`."""
        turned = func.concat(func.right(text, 4), "-", func.substr(text, 4, 2), "-", func.left(text, 2))
        return case(
            (_matches(text, f"{_DAY}({_TIME}{_ZONE}?)?$"), func.left(text, 10)),
            (_matches(text, _REVERSED), turned),
        )

    def second_of(self, text: ColumnElement[str]) -> ColumnElement[int]:
        """Added up from the parts, because a cast refuses the 31st of February."""
        day = self.day_of(text)
        months = _integer(func.left(day, 4)) * 12 + _integer(func.substr(day, 6, 2)) - 1
        start: ColumnElement[Any] = literal_column("timestamp '0001-01-01'") + func.make_interval(
            0, months - 12, 0, _integer(func.substr(day, 9, 2)) - 1
        )
        midnight = cast(func.extract("epoch", start), BigInteger)
        return case((_matches(text, _TIMED), midnight + _time_of_day(text) - _offset(text)), else_=midnight)

    def holds(
        self, text: ColumnElement[str] | InstrumentedAttribute[str], test: Holds
    ) -> ColumnElement[bool]:
        """See `Dialect`."""
        needle, others = fold(test.needle)
        lowered = func.lower(collate(text, "C"))
        if others:
            lowered = func.translate(lowered, "".join(others), "".join(others.values()))
        return func.strpos(lowered, needle) > 0


def _integer(digits: ColumnElement[str]) -> ColumnElement[int]:
    return cast(digits, Integer)


def _time_of_day(text: ColumnElement[str]) -> ColumnElement[int]:
    seconds = case((func.substr(text, 17, 1) == ":", _integer(func.substr(text, 18, 2))), else_=0)
    return _integer(func.substr(text, 12, 2)) * 3600 + _integer(func.substr(text, 15, 2)) * 60 + seconds


def _offset(text: ColumnElement[str]) -> ColumnElement[int]:
    amount = _integer(func.left(func.right(text, 5), 2)) * 3600 + _integer(func.right(text, 2)) * 60
    sign = func.left(func.right(text, 6), 1)
    # The last six characters of a bare time start with "T", ":", "." or a digit.
    return case((sign == "+", amount), (sign == "-", -amount), else_=0)
