"""The filter tree as SQL: one predicate over `Entity` for planning, matching, counting and listing.

Promises:
- The same entities on PostgreSQL and on SQLite (a property test compares both with a reference in plain
  Python).
- Keys and values travel as bound parameters only, and no value of an attribute makes a statement fail:
  whatever is cast has been recognised before.
- The cost of a row is a few JSON look-ups; patterns are tried only when the literal reads as a number or a
  date.

The walk by id (`audience_page`) uses the index on (org_id, schema, id) and tries the predicate on each row.
What else could serve: on PostgreSQL a GIN index on `attributes jsonb_path_ops` for EQUALS and IS_ONE_OF; the
unique index on (org_id, schema, external_id) serves those on `external_id`, the primary key those on `_id`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import (
    and_,
    case,
    false,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
)

from engine.filters.comparisons import Compared, Holds, Same, Says, is_negative, tests_of
from engine.filters.dates import Days
from engine.filters.filters import INSTANT_FIELDS, TEXT_FIELDS, Condition, Operator, Subgroup
from engine.filters.postgresql import PostgreSQL
from engine.filters.sqlite import SQLite
from engine.filters.truth import NO, YES
from state.dialects import dialect_of
from state.tables import Entity

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import InstrumentedAttribute, Session

    from engine.filters.comparisons import Relation, Test
    from engine.filters.dates import Span
    from engine.filters.filters import Group
    from engine.filters.values import Attribute, Dialect, Value

__all__ = ["Own", "field_passes", "filter_dialect_of", "holds_text", "is_given", "predicate", "unreadable"]

_DIALECTS: dict[str, Callable[[Session], Dialect]] = {
    "postgresql": lambda _: PostgreSQL(),
    "sqlite": lambda session: SQLite(session.connection()),
}

Own = Callable[[Condition], "ColumnElement[bool] | None"]
Sql = Any
"""A column expression; SQLAlchemy's own types get in the way of building them generically."""


def predicate(session: Session, tree: Group, now: datetime, own: Own | None = None) -> ColumnElement[bool]:
    """The condition on `Entity` that the tree stands for, in the session's SQL. NULL counts as no.

    Args:
        session: Whose database the condition is for.
        tree: As `parse_filters` gave it.
        now: In the organization's time zone (engine.filters.calendar); what TODAY and its like are reckoned from.
        own: Says what keys mean that are the caller's own; None for all others.
    """
    return _group(filter_dialect_of(session), tree, now, own)


def field_passes(
    session: Session, column: Sql, condition: Condition, now: datetime, *, instant: bool = False
) -> ColumnElement[bool]:
    """What a condition says of a text column, or of one that is an instant; `now` as `predicate` has it."""
    dialect, tests = filter_dialect_of(session), tests_of(condition, now)
    if not tests:
        positive = column.is_(None) if instant else func.coalesce(column, "") == ""
    elif instant:
        positive = _of_instant(column, tests)
    else:
        positive = or_(*(_text_passes(dialect, column, test) for test in tests))
    return positive.is_not(true()) if is_negative(condition.operator) else positive


def unreadable(
    session: Session, condition: Condition, now: datetime
) -> tuple[str, ColumnElement[bool]] | None:
    """What a condition cannot read: in words that follow "values are" (`no numbers`), and the condition on `Entity`
    that its attribute holds something, and nothing of that kind. None for conditions that read texts.
    """
    if condition.key in INSTANT_FIELDS or condition.key in TEXT_FIELDS:
        return None
    dialect = filter_dialect_of(session)
    attribute = dialect.attribute(condition.key)
    for test in tests_of(condition, now):
        if isinstance(test, Says):
            says = or_(*(_says(dialect, attribute, Says(yes)) for yes in (True, False)))
            return "neither yes nor no", and_(~attribute.is_empty, says.is_not(true()))
        if isinstance(test, Compared) and test.text is None:
            value = attribute.value
            readable = [(value.kind.in_(dialect.string), _reads(dialect, value.string, test))]
            if test.number is not None:
                readable.append((value.kind.in_(dialect.number), true()))
            listed = attribute.is_list if condition.operator in _ANY_ELEMENT else false()
            what = "no numbers" if test.number is not None else "no dates"
            return what, and_(~attribute.is_empty, ~listed, case(*readable).is_not(true()))
    return None


def is_given(session: Session, condition: Condition) -> ColumnElement[bool] | None:
    """The condition on `Entity` that it has the attribute which a condition names; None for an entity's own fields."""
    if condition.key in INSTANT_FIELDS or condition.key in TEXT_FIELDS:
        return None
    return ~filter_dialect_of(session).attribute(condition.key).is_empty


def _reads(dialect: Dialect, text: Sql, test: Compared) -> ColumnElement[bool]:
    """Whether a text reads as what the test compares."""
    if test.number is not None:
        return dialect.number_of(text).is_not(None)
    if isinstance(test.span, Days):
        return or_(dialect.day_of(text).is_not(None), dialect.zoned_second_of(text).is_not(None))
    return dialect.second_of(text).is_not(None)


def filter_dialect_of(session: Session) -> Dialect:
    """How the session's database says it."""
    return _DIALECTS[dialect_of(session).name](session)


def holds_text(session: Session, text: str, *columns: Any) -> ColumnElement[bool]:
    """The condition that one of the columns holds the text, its letters in any case and form; NULL holds nothing."""
    holds, test = filter_dialect_of(session).holds, Holds(text)
    return or_(*(holds(func.coalesce(column, ""), test) for column in columns))


def _group(dialect: Dialect, group: Group | Subgroup, now: datetime, own: Own | None) -> ColumnElement[bool]:
    parts = [
        _group(dialect, item, now, own) if isinstance(item, Subgroup) else _condition(dialect, item, now, own)
        for item in group.items
    ]
    return and_(*parts) if group.combination == "AND" else or_(*parts)


def _condition(dialect: Dialect, condition: Condition, now: datetime, own: Own | None) -> ColumnElement[bool]:
    meant = None if own is None else own(condition)
    if meant is not None:
        return meant
    tests = tests_of(condition, now)
    if condition.key in INSTANT_FIELDS:
        positive = _of_instant(getattr(Entity, condition.key[1:]), tests)
    elif condition.key in TEXT_FIELDS:
        positive = _of_field(dialect, condition.key, tests)
    else:
        positive = _of_attribute(dialect, dialect.attribute(condition.key), condition.operator, tests)
    # A test that an absent value cannot pass is NULL or false: either way its opposite is true.
    return positive.is_not(true()) if is_negative(condition.operator) else positive


def _of_instant(column: InstrumentedAttribute[datetime], tests: list[Test]) -> ColumnElement[bool]:
    """Of `_created_at` and its like, which are never empty."""
    found = [
        _within(column, test.relation, *test.span.instants())
        for test in tests
        if isinstance(test, Compared) and test.span is not None
    ]
    return or_(*found) if found else false()


def _of_field(dialect: Dialect, key: str, tests: list[Test]) -> ColumnElement[bool]:
    """Of the entity's own texts."""
    columns: dict[str, Sql] = {"_schema": Entity.schema, "external_id": Entity.external_id, "_id": Entity.id}
    column = columns.get(key, Entity.title)
    if not tests:
        return false() if key == "_id" else func.coalesce(column, "") == ""
    text = dialect.id_text() if key == "_id" else column
    found: list[ColumnElement[bool]] = []
    for test in tests:
        if isinstance(test, Same) and key == "_id":
            found.append(column.in_(_uuids(test.literals)))
        else:
            found.append(_text_passes(dialect, text, test))
    return or_(*found)


def _uuids(literals: tuple[str, ...]) -> list[UUID]:
    found = []
    for text in literals:
        try:
            found.append(UUID(text))
        except ValueError:
            continue  # nobody has it
    return found


def _of_attribute(
    dialect: Dialect, attribute: Attribute, operator: Operator, tests: list[Test]
) -> ColumnElement[bool]:
    if not tests:
        return attribute.is_empty
    if operator not in _ANY_ELEMENT:
        return or_(*(_passes(dialect, attribute.value, test) for test in tests))
    found = [attribute.same(test) for test in tests if isinstance(test, Same)]
    found += [_says(dialect, attribute, test) for test in tests if isinstance(test, Says)]
    others = [test for test in tests if not isinstance(test, Same | Says)]
    if others:
        single = or_(*(_passes(dialect, attribute.value, test) for test in others))
        found.append(case((attribute.is_list, _some(dialect, attribute, others)), else_=single))
    return or_(*found)


def _some(dialect: Dialect, attribute: Attribute, tests: Sequence[Test]) -> ColumnElement[bool]:
    """Whether an element of a list passes one of the tests."""
    listed, element = attribute.elements()
    return (
        select(literal_column("1"))
        .select_from(listed)
        .where(or_(*(_passes(dialect, element, test) for test in tests)))
        .correlate(Entity)
        .exists()
    )


def _says(dialect: Dialect, attribute: Attribute, test: Says) -> ColumnElement[bool]:
    """Whether it says yes, or says no, as `truth` has it."""
    some = _some(dialect, attribute, [test])
    if test.yes:
        some = or_(some, and_(~attribute.is_empty, ~_some(dialect, attribute, [Says(yes=False)])))
    return case(
        (attribute.is_list, some),
        (attribute.value.kind == "object", true() if test.yes else false()),
        else_=_passes(dialect, attribute.value, test),
    )


#: The numbers between them, and 0, have one text on all databases.
_SMALLEST_PLAIN: Sql = literal_column("0.0001")
_LARGEST_PLAIN: Sql = literal_column("9223372036854775808")

_ANY_ELEMENT = frozenset(
    (
        Operator.EQUALS,
        Operator.NOT_EQUALS,
        Operator.CONTAINS,
        Operator.NOT_CONTAINS,
        Operator.IS_ONE_OF,
        Operator.IS_NONE_OF,
    )
)


def _passes(dialect: Dialect, value: Value, test: Test) -> ColumnElement[bool]:
    """Whether one JSON value passes; NULL for null, lists and objects."""
    kinds: list[tuple[ColumnElement[bool], ColumnElement[bool]]] = [
        (value.kind.in_(dialect.string), _text_passes(dialect, value.string, test))
    ]
    is_number, is_boolean = value.kind.in_(dialect.number), value.kind.in_(dialect.boolean)
    if isinstance(test, Says):
        kinds.append((is_number, value.number != 0 if test.yes else value.number == 0))
        kinds.append((is_boolean, value.text == ("true" if test.yes else "false")))
    elif isinstance(test, Compared) and test.number is not None:
        kinds.append((is_number, _related(value.number, test.relation, dialect.numeric(test.number))))
    elif isinstance(test, Holds) or (isinstance(test, Compared) and test.text is not None):
        plain = _text_passes(dialect, value.text, test)
        kinds.append((is_number, and_(_has_plain_text(value.number), plain)))
        kinds.append((is_boolean, plain))
    return case(*kinds)


def _has_plain_text(number: Sql) -> ColumnElement[bool]:
    """Whether every database writes the number with the same digits: numbers beyond 64 bits, and those nearer to 0 than
    a ten-thousandth, are written with an exponent by the one and with all their zeros by the other.
    """
    return or_(
        number == 0,
        and_(number >= _SMALLEST_PLAIN, number < _LARGEST_PLAIN),
        and_(number <= -_SMALLEST_PLAIN, number > -_LARGEST_PLAIN),
    )


def _text_passes(dialect: Dialect, text: Sql, test: Test) -> ColumnElement[bool]:
    """Whether a text passes; NULL or false when it does not read as the test asks."""
    if isinstance(test, Says):
        word: ColumnElement[str] = func.lower(dialect.trimmed(text))
        return word.in_(YES if test.yes else NO)
    if isinstance(test, Holds):
        return dialect.holds(text, test)
    if isinstance(test, Same):
        same: ColumnElement[bool] = text.in_(test.literals)
        return same
    if test.number is not None:
        return _related(dialect.number_of(text), test.relation, literal(float(test.number)))
    if test.span is not None:
        return _in_span(dialect, text, test.relation, test.span)
    related = _related(dialect.ordered(text), test.relation, literal(test.text))
    return related if test.relation == "=" else and_(text != "", related)


def _in_span(dialect: Dialect, text: Sql, relation: Relation, span: Span) -> ColumnElement[bool]:
    start, end = map(literal, span.seconds())
    if not isinstance(span, Days):
        return _within(dialect.second_of(text), relation, start, end)
    second = _within(dialect.zoned_second_of(text), relation, start, end)
    day = dialect.ordered(dialect.day_of(text))
    first, last = literal(span.first.isoformat()), literal(span.last.isoformat())
    if relation == "=" and span.first != span.last:
        written = and_(day >= first, day <= last)
    else:
        written = _related(day, relation, last if relation in (">", "<=") else first)
    # The first is NULL for what names no zone.
    return func.coalesce(second, written)


def _within(value: Sql, relation: Relation, start: Sql, end: Sql) -> ColumnElement[bool]:
    """The relation of a point to a span whose `end` is the first point after it."""
    wanted: dict[Relation, ColumnElement[bool]] = {
        "=": and_(value >= start, value < end),
        ">": value >= end,
        ">=": value >= start,
        "<": value < start,
        "<=": value < end,
    }
    return wanted[relation]


def _related(left: Sql, relation: Relation, right: Sql) -> ColumnElement[bool]:
    related: dict[Relation, ColumnElement[bool]] = {
        "=": left == right,
        ">": left > right,
        ">=": left >= right,
        "<": left < right,
        "<=": left <= right,
    }
    return related[relation]
