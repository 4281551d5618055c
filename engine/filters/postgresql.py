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

from engine.filters.dates import DATE_PATTERN, ZONED_PATTERN
from engine.filters.numerals import MAX_LENGTH, NUMBER_PATTERN, json_number
from engine.filters.texts import DOTTED_I, fold, letters_to_fold
from engine.filters.values import Value
from engine.kernel.blanks import BLANKS
from state.tables import Entity

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import InstrumentedAttribute
    from sqlalchemy.sql.selectable import FromClause

    from engine.filters.comparisons import Holds, Same

__all__ = ["PostgreSQL"]

_YEAR_DIGITS = 4
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

    def trimmed(self, text: ColumnElement[str]) -> ColumnElement[str]:
        """See `Dialect`."""
        return func.btrim(text, BLANKS)

    def number_of(self, text: ColumnElement[str]) -> ColumnElement[Any]:
        """See `Dialect`."""
        plain = self.trimmed(text)
        short = func.char_length(plain) <= MAX_LENGTH
        return case((short & _matches(plain, NUMBER_PATTERN), cast(plain, Double)))

    def day_of(self, text: ColumnElement[str]) -> ColumnElement[str]:
        """See `Dialect`."""
        plain = self.trimmed(text)
        return case((_matches(plain, DATE_PATTERN), func.concat_ws("-", *_day(plain))))

    def second_of(self, text: ColumnElement[str]) -> ColumnElement[int]:
        """See `Dialect`."""
        plain = self.trimmed(text)
        return case((_matches(plain, DATE_PATTERN), _second(plain)))

    def zoned_second_of(self, text: ColumnElement[str]) -> ColumnElement[int]:
        """See `Dialect`."""
        plain = self.trimmed(text)
        return case((_matches(plain, ZONED_PATTERN), _second(plain)))

    def holds(
        self, text: ColumnElement[str] | InstrumentedAttribute[str], test: Holds
    ) -> ColumnElement[bool]:
        """See `Dialect`."""
        needle = fold(test.needle)
        lowered = func.lower(collate(text, "C"))
        return func.strpos(case((_is_ascii(text), lowered), else_=_folded(text, needle)), needle) > 0


def _is_ascii(text: Any) -> ColumnElement[bool]:
    return func.octet_length(text) == func.char_length(text)


def _folded(text: Any, needle: str) -> ColumnElement[str]:
    """The text with those letters folded that may be in the needle, as `texts.fold` folds all of them."""
    letters = letters_to_fold(needle)
    single = {letter: folded for letter, folded in letters.items() if len(folded) == 1}
    folded: ColumnElement[str] = func.lower(collate(func.normalize(text, literal_column("NFD")), "C"))
    if single:
        folded = func.translate(folded, "".join(single), "".join(single.values()))
    for letter, several in letters.items():
        if len(several) > 1:
            folded = func.replace(folded, letter, several)
    return func.normalize(func.replace(folded, DOTTED_I, "i"), literal_column("NFC"))


def _integer(digits: ColumnElement[str]) -> ColumnElement[int]:
    return cast(digits, Integer)


def _day(text: ColumnElement[str]) -> tuple[ColumnElement[str], ...]:
    """Year, month and day, with leading zeros, of a text that matches `DATE_PATTERN`."""
    written = func.split_part(func.translate(text, "./Tt", "--  "), " ", 1)
    first, month, last = (func.split_part(written, "-", place) for place in (1, 2, 3))
    year_first = func.char_length(first) == _YEAR_DIGITS
    year = case((year_first, first), else_=last)
    day = case((year_first, last), else_=first)
    return year, func.lpad(month, 2, "0"), func.lpad(day, 2, "0")


def _second(text: ColumnElement[str]) -> ColumnElement[int]:
    """Seconds since 1970 of a text that matches `DATE_PATTERN`. Added up from the parts: a cast refuses the 31st of
    February.
    """
    year, month, day = map(_integer, _day(text))
    months = year * 12 + month - 1
    start: ColumnElement[Any] = literal_column("timestamp '0001-01-01'") + func.make_interval(
        0, months - 12, 0, day - 1
    )
    midnight = cast(func.extract("epoch", start), BigInteger)
    clock = _part(text, "[0-9]+:[0-9]+")
    time = (
        _integer(func.split_part(clock, ":", 1)) * 3600
        + _integer(func.split_part(clock, ":", 2)) * 60
        + _integer(func.coalesce(_part(text, "[0-9]+:[0-9]+:([0-9]+)"), "0"))
    )
    digits = func.translate(_part(text, "[0-9]+:[0-9:.,]+ *[+-]([0-9:]+)"), ":", "")
    offset = (
        _integer(func.left(digits, 2)) * 3600 + _integer(func.rpad(func.substr(digits, 3, 2), 2, "0")) * 60
    )
    east = _matches(text, "[+]")
    return midnight + func.coalesce(time, 0) - func.coalesce(case((east, offset), else_=-offset), 0)


def _part(text: ColumnElement[str], pattern: str) -> ColumnElement[str]:
    """The first part that matches, or its group; NULL when there is none."""
    return func.substring(text, pattern, type_=Text())
