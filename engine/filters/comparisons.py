"""What a condition means, before any database is asked (docs/contract/targeting.md, the [R] rules).

A positive operator becomes one *test* that a single value passes or fails; a list passes when one of its
elements does (ordering operators look at single values only). A negative operator is the opposite of its
positive twin, so it also lets through people without the attribute.

| test | passes |
|---|---|
| `Same` | the JSON text, number or boolean that a literal stands for: `1000` is `"1000"`, and so on |
| `Says` | what says yes, or what says no (`truth`) |
| `Holds` | the text contains the needle, whatever the case (`texts.fold`) |
| `Compared` | what reads as the literal does: as a number, as a date, or as text by code point; nothing else |

What is empty stands in no order: it is no number, no date, and less than no text.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from engine.filters.dates import DATE_WORDS, Span, read_date
from engine.filters.filters import INSTANT_FIELDS, ORDERING, TEXT_FIELDS, Condition, DataType, Operator
from engine.filters.numerals import reads_number
from engine.filters.texts import trim
from engine.filters.truth import read_truth

__all__ = [
    "Compared",
    "Holds",
    "Relation",
    "Same",
    "Says",
    "Test",
    "asks_for_days",
    "is_negative",
    "tests_of",
]

Relation = Literal["=", ">", ">=", "<", "<="]

_RELATIONS: dict[Operator, Relation] = {
    Operator.GREATER_THAN: ">",
    Operator.GREATER_THAN_OR_EQUAL: ">=",
    Operator.LESS_THAN: "<",
    Operator.LESS_THAN_OR_EQUAL: "<=",
}
_TRUTH = ("true", "false")
_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)
_NEGATIVE = frozenset((Operator.NOT_EQUALS, Operator.NOT_CONTAINS, Operator.IS_NONE_OF, Operator.NOT_EMPTY))


@dataclass(frozen=True, slots=True)
class Same:
    """Is one of the literals."""

    literals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Says:
    """Says yes, or says no."""

    yes: bool


@dataclass(frozen=True, slots=True)
class Holds:
    """Contains the needle."""

    needle: str


@dataclass(frozen=True, slots=True)
class Compared:
    """Stands in the relation to the literal. Exactly one of the three is given: how both sides are read."""

    relation: Relation
    number: str | None = None
    span: Span | None = None
    text: str | None = None


Test = Same | Says | Holds | Compared


def is_negative(operator: Operator) -> bool:
    """Whether the operator is the opposite of a positive one."""
    return operator in _NEGATIVE


def tests_of(condition: Condition, now: datetime) -> list[Test]:
    """The tests of which one must be passed; none for EMPTY and NOT_EMPTY."""
    operator, literals = condition.operator, condition.literals
    if operator in (Operator.EMPTY, Operator.NOT_EMPTY):
        return []
    if operator in (Operator.CONTAINS, Operator.NOT_CONTAINS):
        return [Holds(literals[0])]
    if operator in _RELATIONS:
        return [_ordered(_RELATIONS[operator], literals[0], condition, now)]
    tests: list[Test] = []
    same: list[str] = []
    for literal in literals:
        yes = _truth(literal, condition)
        if yes is not None:
            tests.append(Says(yes))
        elif _means_days(literal, condition):
            tests.append(Compared("=", span=_span(literal, now)))
        elif condition.data_type is DataType.NUMBER:
            tests.append(Compared("=", number=trim(literal)))
        elif condition.data_type is DataType.STRING:
            tests.append(Compared("=", text=literal))
        else:
            same.append(literal)
    if same:
        tests.append(Same(tuple(dict.fromkeys(same))))
    return tests


def asks_for_days(condition: Condition) -> bool:
    """Whether what it means depends on the organization's days."""
    if condition.operator in ORDERING:
        return _reads_as(condition.literals[0], condition) is DataType.DATE
    return any(_means_days(literal, condition) for literal in condition.literals)


def _truth(literal: str, condition: Condition) -> bool | None:
    """What a literal to be equal to says, where it is meant to say yes or no: `true` and `false` do, other words where
    the condition says that they are booleans. A text field is no yes and no.
    """
    if condition.data_type is DataType.BOOLEAN:
        return read_truth(literal)
    if condition.data_type is None and condition.key not in TEXT_FIELDS and literal.lower() in _TRUTH:
        return read_truth(literal)
    return None


def _means_days(literal: str, condition: Condition) -> bool:
    """Whether a literal to be equal to is a span of time and not a text."""
    if condition.data_type is DataType.DATE or condition.key in INSTANT_FIELDS:
        return True
    return condition.data_type is None and literal in DATE_WORDS


def _span(literal: str, now: datetime) -> Span:
    span = read_date(literal, now)
    if span is None:
        raise AssertionError(f"{literal!r} was taken for a date when the condition was read")
    return span


def _ordered(relation: Relation, literal: str, condition: Condition, now: datetime) -> Compared:
    kind = _reads_as(literal, condition)
    if kind is DataType.NUMBER:
        return Compared(relation, number=trim(literal))
    if kind is DataType.DATE:
        return Compared(relation, span=_span(literal, now))
    return Compared(relation, text=literal)


def _reads_as(literal: str, condition: Condition) -> DataType:
    """How both sides of an ordering are read."""
    if condition.key in INSTANT_FIELDS:
        return DataType.DATE
    if condition.data_type is not None:
        return condition.data_type
    if reads_number(literal):
        return DataType.NUMBER
    return DataType.DATE if read_date(literal, _ANY_TIME) is not None else DataType.STRING
