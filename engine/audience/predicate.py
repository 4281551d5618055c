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

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import and_, case, false, func, literal, literal_column, or_, select, true

from engine.audience.comparisons import Compared, Holds, Same, is_negative, tests_of
from engine.audience.dates import Days
from engine.audience.filters import INSTANT_FIELDS, TEXT_FIELDS, Condition, Operator, Subgroup
from engine.audience.postgresql import PostgreSQL
from engine.audience.sqlite import SQLite
from state.sets import is_postgresql
from state.tables import Entity

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import InstrumentedAttribute, Session

    from engine.audience.comparisons import Relation, Test
    from engine.audience.dates import Span
    from engine.audience.filters import Group
    from engine.audience.values import Attribute, Dialect, Value

__all__ = ["Own", "dialect_of", "field_passes", "predicate"]

Own = Callable[[Condition], "ColumnElement[bool] | None"]
Sql = Any
"""A column expression; SQLAlchemy's own types get in the way of building them generically."""


def predicate(session: Session, tree: Group, now: datetime, own: Own | None = None) -> ColumnElement[bool]:
    """The condition on `Entity` that the tree stands for, in the session's SQL. NULL counts as no.

    Args:
        session: Whose database the condition is for.
        tree: As `parse_filters` gave it.
        now: Aware; what TODAY and its like are reckoned from.
        own: Says what keys mean that are the caller's own; None for all others.
    """
    return _group(dialect_of(session), tree, now, own)


def field_passes(
    session: Session, column: Sql, condition: Condition, now: datetime, *, instant: bool = False
) -> ColumnElement[bool]:
    """What a condition says of a text column, or of one that is an instant."""
    dialect, tests = dialect_of(session), tests_of(condition, now)
    if not tests:
        positive = column.is_(None) if instant else func.coalesce(column, "") == ""
    elif instant:
        positive = _of_instant(column, tests)
    else:
        positive = or_(
            *(
                column.in_(test.literals) if isinstance(test, Same) else _text_passes(dialect, column, test)
                for test in tests
            )
        )
    return positive.is_not(true()) if is_negative(condition.operator) else positive


def dialect_of(session: Session) -> Dialect:
    """How the session's database says it."""
    return PostgreSQL() if is_postgresql(session) else SQLite()


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
        _within(column, test.relation, test.span)
        for test in tests
        if isinstance(test, Compared) and test.span is not None
    ]
    return or_(*found) if found else false()


def _within(column: InstrumentedAttribute[datetime], relation: Relation, span: Span) -> ColumnElement[bool]:
    start, end = span.instants()
    wanted: dict[Relation, ColumnElement[bool]] = {
        "=": and_(column >= start, column < end),
        ">": column >= end,
        ">=": column >= start,
        "<": column < start,
        "<=": column < end,
    }
    return wanted[relation]


def _of_field(dialect: Dialect, key: str, tests: list[Test]) -> ColumnElement[bool]:
    """Of the entity's own texts."""
    columns: dict[str, Sql] = {"_schema": Entity.schema, "external_id": Entity.external_id, "_id": Entity.id}
    column = columns.get(key, Entity.title)
    if not tests:
        return false() if key == "_id" else func.coalesce(column, "") == ""
    text = dialect.id_text() if key == "_id" else column
    found: list[ColumnElement[bool]] = []
    for test in tests:
        if isinstance(test, Same):
            found.append(column.in_(_uuids(test.literals) if key == "_id" else test.literals))
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
    others = [test for test in tests if not isinstance(test, Same)]
    if others:
        listed, element = attribute.elements()
        within = (
            select(literal_column("1"))
            .select_from(listed)
            .where(or_(*(_passes(dialect, element, test) for test in others)))
            .correlate(Entity)
            .exists()
        )
        single = or_(*(_passes(dialect, attribute.value, test) for test in others))
        found.append(case((attribute.is_list, within), else_=single))
    return or_(*found)


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
    plain = _plain_text_passes(dialect, value.text, test)
    if isinstance(test, Compared) and test.number is not None:
        kinds.append(
            (
                value.kind.in_(dialect.number),
                _related(value.number, test.relation, dialect.numeric(test.number)),
            )
        )
    elif plain is not None:
        kinds.append((value.kind.in_(dialect.number), plain))
    if plain is not None:
        kinds.append((value.kind.in_(dialect.boolean), plain))
    return case(*kinds)


def _plain_text_passes(dialect: Dialect, text: Sql, test: Test) -> ColumnElement[bool] | None:
    """Whether a text passes that is not read as anything else; None when texts as such cannot pass."""
    if isinstance(test, Holds):
        return dialect.holds(text, test)
    if isinstance(test, Compared) and test.text is not None:
        return _related(dialect.ordered(text), test.relation, literal(test.text))
    return None


def _text_passes(dialect: Dialect, text: Sql, test: Test) -> ColumnElement[bool]:
    """Whether a text passes, read as number or date first where the test says so; NULL when it cannot be read
    so.
    """
    readings = []
    if isinstance(test, Compared):
        if test.number is not None:
            readings.append(_related(dialect.number_of(text), test.relation, literal(float(test.number))))
        if test.span is not None:
            readings.append(_in_span(dialect, text, test.relation, test.span))
    plain = _plain_text_passes(dialect, text, test)
    if plain is not None:
        readings.append(plain)
    # Each reading is NULL for what it cannot read, so the first that can read it decides.
    return func.coalesce(*readings) if len(readings) > 1 else readings[0]


def _in_span(dialect: Dialect, text: Sql, relation: Relation, span: Span) -> ColumnElement[bool]:
    if not isinstance(span, Days):
        return _related(dialect.second_of(text), relation, literal(span.epoch))
    day = dialect.ordered(dialect.day_of(text))
    first, last = literal(span.first.isoformat()), literal(span.last.isoformat())
    if relation == "=" and span.first != span.last:
        return and_(day >= first, day <= last)
    return _related(day, relation, last if relation in (">", "<=") else first)


def _related(left: Sql, relation: Relation, right: Sql) -> ColumnElement[bool]:
    related: dict[Relation, ColumnElement[bool]] = {
        "=": left == right,
        ">": left > right,
        ">=": left >= right,
        "<": left < right,
        "<=": left <= right,
    }
    return related[relation]
