"""The filter tree as Lucene text (Elasticsearch query_string), for searching elsewhere
(docs/contract/targeting.md).

`_schema:"contact" AND (status:"active" OR NOT _exists_:email)`. Date words become date math, so the text
stays true tomorrow. The text is made from the same tree that `predicate` evaluates; what a search engine's
own mapping makes of case, numbers and dates is its affair.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from engine.filters.dates import DATE_WORDS
from engine.filters.filters import Condition, DataType, Operator, Subgroup

if TYPE_CHECKING:
    from engine.filters.filters import Group

__all__ = ["lucene"]

#: What query_string gives a meaning to, and white space, which ends a term.
_SPECIAL = re.compile(r'[+\-=&|><!(){}\[\]^"~*?:\\/\s]')
_RESERVED = frozenset(("AND", "OR", "NOT", "TO"))

_NAMES = {"title": "_title"}
_UNITS = {"WEEK": "w", "MONTH": "M", "YEAR": "y"}
_DAYS = {"TODAY": "now/d", "YESTERDAY": "now-1d/d", "TOMORROW": "now+1d/d"}
_STEPS = {"LAST": "-1{unit}", "THIS": "", "NEXT": "+1{unit}"}

_RANGES = {
    Operator.GREATER_THAN: "{{{value} TO *]",
    Operator.GREATER_THAN_OR_EQUAL: "[{value} TO *]",
    Operator.LESS_THAN: "[* TO {value}}}",
    Operator.LESS_THAN_OR_EQUAL: "[* TO {value}]",
}


def lucene(tree: Group | None, schema: str) -> str:
    """The query for the entities of a schema that the tree lets through; without a tree: for all of them."""
    own = f"_schema:{_quoted(schema)}"
    if tree is None:
        return own
    parts = _parts(tree)
    return f"{own} AND {parts[0] if len(parts) == 1 else _joined(parts, tree.combination)}"


def _parts(group: Group | Subgroup) -> list[str]:
    return [
        _joined(_parts(item), item.combination) if isinstance(item, Subgroup) else _condition(item)
        for item in group.items
    ]


def _joined(parts: list[str], combination: str) -> str:
    return f"({f' {combination} '.join(parts)})"


def _condition(condition: Condition) -> str:
    operator, key = condition.operator, _escaped(_NAMES.get(condition.key, condition.key))
    if operator is Operator.EMPTY:
        return f"NOT _exists_:{key}"
    if operator is Operator.NOT_EMPTY:
        return f"_exists_:{key}"
    if operator in _RANGES:
        return f"{key}:{_RANGES[operator].format(value=_bound(condition))}"
    if operator in (Operator.CONTAINS, Operator.NOT_CONTAINS):
        text = f"{key}:*{_escaped(condition.literals[0])}*"
    elif operator in (Operator.IS_ONE_OF, Operator.IS_NONE_OF):
        text = f"{key}:({' OR '.join(_value(condition, literal) for literal in condition.literals)})"
    else:
        text = f"{key}:{_value(condition, condition.literals[0])}"
    negative = operator in (Operator.NOT_EQUALS, Operator.NOT_CONTAINS, Operator.IS_NONE_OF)
    return f"NOT {text}" if negative else text


def _value(condition: Condition, literal: str) -> str:
    word = _date_math(condition, literal)
    return f"[{word} TO {word}]" if word else _quoted(literal)


def _bound(condition: Condition) -> str:
    literal = condition.literals[0]
    if word := _date_math(condition, literal):
        return word
    return _quoted(literal) if literal in _RESERVED else _escaped(literal)


def _date_math(condition: Condition, literal: str) -> str | None:
    """A date word as date math, rounded so that a range to it includes all of it."""
    if literal not in DATE_WORDS or condition.data_type not in (None, DataType.DATE):
        return None
    if literal in _DAYS:
        return _DAYS[literal]
    step, period = literal.split("_")
    unit = _UNITS[period]
    return f"now{_STEPS[step].format(unit=unit)}/{unit}"


def _escaped(text: str) -> str:
    return _SPECIAL.sub(lambda match: "\\" + match[0], text)


def _quoted(text: str) -> str:
    """A phrase; white space needs no escaping in it."""
    return (
        '"' + re.sub(_SPECIAL, lambda match: match[0] if match[0].isspace() else "\\" + match[0], text) + '"'
    )
