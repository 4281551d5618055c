"""What a condition means, before any database is asked (contract.md §1, the [R] rules).

A positive operator becomes one *test* that a single value passes or fails; a list passes when one of its
elements does (ordering operators look at single values only). A negative operator is the opposite of its
positive twin, so it also lets through whoever lacks the attribute.

| test | passes |
|---|---|
| `Same` | the JSON text, number or boolean that a literal stands for: `1000` is `"1000"`, and so on |
| `Holds` | the text contains the needle, whatever the case |
| `Compared` | numbers or dates when both sides read as such, else texts by code point |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from engine.audience.dates import DATE_WORDS, Span, read_date
from engine.audience.filters import INSTANT_FIELDS, Condition, DataType, Operator
from engine.audience.numerals import reads_number

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["Compared", "Holds", "Relation", "Same", "Test", "fold", "is_negative", "tests_of"]

Relation = Literal["=", ">", ">=", "<", "<="]

_RELATIONS: dict[Operator, Relation] = {
    Operator.GREATER_THAN: ">",
    Operator.GREATER_THAN_OR_EQUAL: ">=",
    Operator.LESS_THAN: "<",
    Operator.LESS_THAN_OR_EQUAL: "<=",
}
_NEGATIVE = frozenset((Operator.NOT_EQUALS, Operator.NOT_CONTAINS, Operator.IS_NONE_OF, Operator.NOT_EMPTY))


@dataclass(frozen=True, slots=True)
class Same:
    """Is one of the literals."""

    literals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Holds:
    """Contains the needle."""

    needle: str


@dataclass(frozen=True, slots=True)
class Compared:
    """Stands in the relation to the literal, read in the first of the ways given that the value can be read
    in too.
    """

    relation: Relation
    number: str | None = None
    span: Span | None = None
    text: str | None = None


Test = Same | Holds | Compared


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
        span = _span(literal, condition, now)
        if span is not None and (_dated(condition) or literal in DATE_WORDS):
            tests.append(Compared("=", span=span))
        elif condition.data_type is DataType.NUMBER:
            tests.append(Compared("=", number=literal))
        elif condition.data_type is DataType.STRING:
            tests.append(Compared("=", text=literal))
        else:
            same.append(literal)
    if same:
        tests.append(Same(tuple(dict.fromkeys(same))))
    return tests


def _dated(condition: Condition) -> bool:
    return condition.data_type is DataType.DATE or condition.key in INSTANT_FIELDS


def _span(literal: str, condition: Condition, now: datetime) -> Span | None:
    if _dated(condition) or condition.data_type is None:
        return read_date(literal, now)
    return None


def _ordered(relation: Relation, literal: str, condition: Condition, now: datetime) -> Compared:
    span = _span(literal, condition, now)
    if _dated(condition) or literal in DATE_WORDS:
        # A date word is no text that an attribute could be compared with.
        return Compared(relation, span=span) if span else Compared(relation, text=literal)
    if condition.data_type is DataType.NUMBER:
        return Compared(relation, number=literal)
    if condition.data_type is DataType.STRING:
        return Compared(relation, text=literal)
    return Compared(relation, number=literal if reads_number(literal) else None, span=span, text=literal)


def fold(needle: str) -> tuple[str, dict[str, str]]:
    """The needle in lower case, and what else must be lowered in a text beside A-Z to find it there.

    Databases disagree on the lower case of letters beyond A-Z (it hangs on their locale), so only the letters
    that the needle has are folded, one to one, and the same in each database.
    """
    lowered, others = [], {}
    for letter in needle:
        small = letter.lower()
        small = small if len(small) == 1 else letter
        lowered.append(small)
        if not letter.isascii():
            others.update(
                {other: small for other in {letter, letter.upper()} if len(other) == 1 and other != small}
            )
            if len(small.upper()) == 1 and small.upper() != small:
                others[small.upper()] = small
    return "".join(lowered), others
