"""A filter tree as the text that people write (engine.filters.where): what `write_where` gives, `read_where` reads."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from engine.filters.dates import DATE_WORDS
from engine.filters.filters import EMPTINESS, MANY, ORDERING, Operator, Subgroup
from engine.filters.where import has_order

if TYPE_CHECKING:
    from engine.filters.filters import Condition, Group

__all__ = ["write_where"]

_OPERATORS = {
    Operator.EQUALS: "=",
    Operator.NOT_EQUALS: "!=",
    Operator.EMPTY: "is empty",
    Operator.NOT_EMPTY: "is not empty",
    Operator.CONTAINS: "contains",
    Operator.NOT_CONTAINS: "not contains",
    Operator.IS_ONE_OF: "in",
    Operator.IS_NONE_OF: "not in",
    Operator.GREATER_THAN: ">",
    Operator.LESS_THAN: "<",
    Operator.GREATER_THAN_OR_EQUAL: ">=",
    Operator.LESS_THAN_OR_EQUAL: "<=",
}
_PLAIN = re.compile(r"[\w.@:+/-]+")
_RESERVED = frozenset(("and", "or", "not", "null", "none", "nil"))


def write_where(tree: Group) -> str:
    """The conditions of a tree in one line."""
    word = f" {tree.combination.lower()} "
    return word.join(
        f"({f' {item.combination.lower()} '.join(map(_condition, item.items))})"
        if isinstance(item, Subgroup)
        else _condition(item)
        for item in tree.items
    )


def _condition(condition: Condition) -> str:
    name, operator = _name(condition.key), condition.operator
    if operator in EMPTINESS:
        return f"{name} {_OPERATORS[operator]}"
    values = [_value(literal, condition) for literal in condition.literals]
    value = f"({', '.join(values)})" if operator in MANY else values[0]
    kind = "" if condition.data_type is None else f" as {condition.data_type}"
    return f"{name} {_OPERATORS[operator]} {value}{kind}"


def _name(name: str) -> str:
    return name if _is_word(name) else _quoted(name, "`")


def _value(literal: str, condition: Condition) -> str:
    is_text = condition.operator in ORDERING and condition.data_type is None and not has_order(literal)
    is_other_case = literal not in DATE_WORDS and literal.upper() in DATE_WORDS
    return _quoted(literal, "'") if is_text or is_other_case or not _is_word(literal) else literal


def _is_word(text: str) -> bool:
    return _PLAIN.fullmatch(text) is not None and text.lower() not in _RESERVED


def _quoted(text: str, quote: str) -> str:
    escaped = text.replace("\\", "\\\\").replace(quote, f"\\{quote}")
    return f"{quote}{escaped}{quote}"
