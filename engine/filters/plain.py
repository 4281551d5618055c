"""Plain filters, `{"location": ["US", "CA"], "ageRange": [18, 45]}`, as the filter tree that selects
(docs/contract/campaigns-api.md).

| written | means |
|---|---|
| `"city": "Oslo"`, `"age": 30` | equals |
| `"location": ["US", "CA"]` | is one of them; of an attribute that is a list: has one of them |
| `"ageRange": [18, 45]` | `age` from 18 to 45, both included; numbers or dates; `null` leaves a side open |
| `"newsletter": true` | says yes (engine.filters.truth) |
| `"newsletter": false` | says no, is empty or not there; what says neither yes nor no passes neither |
| `"phone": null` | is empty or not there |
| `"age": {"gte": 18, "lt": 45}` | the comparisons by name: eq ne gt gte lt lte in nin contains ncontains exists |
| `{"filter": {…}}` | the tree itself, as the Targeting API has it |

All of them must hold. Names are the attributes' own, exactly.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from engine.filters.dates import DATE_WORDS, read_date
from engine.filters.filters import FilterError, parse_filters
from engine.filters.numerals import number_of, reads_number
from engine.kernel.inputs import Invalid
from engine.kernel.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["tree_of"]

_RANGE = "Range"
_ENDS = 2
#: Words for dates are compared with one another as of one moment; which one does not change their order.
_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)
_COMPARISONS = {
    "eq": "EQUALS",
    "ne": "NOT_EQUALS",
    "gt": "GREATER_THAN",
    "gte": "GREATER_THAN_OR_EQUAL",
    "lt": "LESS_THAN",
    "lte": "LESS_THAN_OR_EQUAL",
    "in": "IS_ONE_OF",
    "nin": "IS_NONE_OF",
    "contains": "CONTAINS",
    "ncontains": "NOT_CONTAINS",
}

_Item = dict[str, Any]


def tree_of(filters: Mapping[str, Any]) -> dict[str, Any] | None:
    """`entity_filters` of a target; None when nothing is asked for.

    Raises:
        Invalid: a filter cannot be used; `field` is its path below the filters.
    """
    if not filters:
        return None
    if set(filters) == {"filter"}:
        return _checked(dict(filters), "filter")
    items: list[_Item] = []
    for key, value in filters.items():
        items += _items(key, value)
    return _checked({"filter": {"items": items, "combination": "AND"}}, "")


def _checked(tree: dict[str, Any], path: str) -> dict[str, Any]:
    try:
        parse_filters(tree)
    except FilterError as error:
        raise Invalid(path, error.message) from None
    return tree


def _items(key: str, value: Any) -> list[_Item]:
    name = key.removesuffix(_RANGE)
    if name and name != key and not isinstance(value, dict):
        return _of_range(key, name, value)
    if isinstance(value, bool):
        return [_said(key, value)]
    if value is None:
        return [{"key": key, "operator": "EMPTY"}]
    if isinstance(value, str | int | float):
        return [{"key": key, "operator": "EQUALS", "value": _text(key, value)}]
    if isinstance(value, list):
        return _of_list(key, value)
    if isinstance(value, dict):
        return _compared(key, value)
    raise Invalid(key, "must be a text, a number, true, false, null, a list or comparisons by name")


def _said(key: str, wanted: bool) -> _Item:
    """Whether an attribute says yes, whatever kind it is."""
    says: _Item = {
        "key": key,
        "operator": "EQUALS",
        "value": "true" if wanted else "false",
        "data_type": "boolean",
    }
    if wanted:
        return says
    return {"items": [{"key": key, "operator": "EMPTY"}, says], "combination": "OR"}


def _of_range(key: str, name: str, value: Any) -> list[_Item]:
    """From one end to the other, both included.

    Raises:
        Invalid: it is no list of two ends, an end is neither a number nor a date, or the ends are not in order.
    """
    if not isinstance(value, list) or len(value) != _ENDS:
        raise Invalid(
            key,
            f"must be a list of two ends, like [18, 45]; null leaves one open. For an attribute named {key!r}: "
            f'{{"eq": …}} or {{"in": […]}}',
        )
    ends = [None if end is None else _text(f"{key}[{index}]", end) for index, end in enumerate(value)]
    given = [(index, end) for index, end in enumerate(ends) if end is not None]
    if not given:
        raise Invalid(key, "has no end; leave it out to ask for nothing")
    kinds = {_kind_of_end(f"{key}[{index}]", end) for index, end in given}
    if len(kinds) > 1:
        raise Invalid(key, "has a number at one end and a date at the other")
    kind = kinds.pop()
    if None not in ends and _are_reversed(ends[0], ends[1], kind):
        raise Invalid(key, f"begins after its end: {ends[0]} is more than {ends[1]}")
    operators = ("GREATER_THAN_OR_EQUAL", "LESS_THAN_OR_EQUAL")
    return [
        {"key": name, "operator": operators[index], "value": end, "data_type": kind} for index, end in given
    ]


def _kind_of_end(path: str, end: Any) -> str:
    if isinstance(end, bool):
        raise Invalid(path, "must be a number or a date")
    if isinstance(end, int | float) or reads_number(end):
        return "number"
    if read_date(end, _ANY_TIME) is not None:
        return "date"
    raise Invalid(
        path, f"{end[:64]!r} reads neither as a number nor as a date like 2026-03-02, 02.03.2026 or TODAY"
    )


def _are_reversed(first: Any, last: Any, kind: str) -> bool:
    """Whether nothing lies between two ends, whatever the day. A date is not compared with a word for a date."""
    if kind == "number":
        low, high = (number_of(str(end)) or 0.0 for end in (first, last))
        return low > high
    if (first in DATE_WORDS) != (last in DATE_WORDS):
        return False
    begin, end = read_date(first, _ANY_TIME), read_date(last, _ANY_TIME)
    return begin is not None and end is not None and begin.seconds()[0] >= end.seconds()[1]


def _of_list(key: str, values: list[Any]) -> list[_Item]:
    if not values:
        raise Invalid(key, "names nothing; leave it out to ask for nothing")
    return [
        {
            "key": key,
            "operator": "IS_ONE_OF",
            "value": [_text(f"{key}[{index}]", value) for index, value in enumerate(values)],
        }
    ]


def _compared(key: str, comparisons: Mapping[str, Any]) -> list[_Item]:
    if not comparisons:
        raise Invalid(key, "compares with nothing")
    found = []
    for word, value in comparisons.items():
        path = f"{key}.{word}"
        if word == "exists":
            if not isinstance(value, bool):
                raise Invalid(path, "must be true or false")
            found.append({"key": key, "operator": "NOT_EMPTY" if value else "EMPTY"})
            continue
        operator = _COMPARISONS.get(word)
        if operator is None:
            known = (*_COMPARISONS, "exists")
            raise Invalid(path, f"is none of {', '.join(known)}{did_you_mean(word, known)}")
        found.append({"key": key, "operator": operator, "value": _operand(path, operator, value)})
    return found


def _operand(path: str, operator: str, value: Any) -> Any:
    if operator in ("IS_ONE_OF", "IS_NONE_OF"):
        if not isinstance(value, list) or not value:
            raise Invalid(path, "must be a list of at least one value")
        return [_text(f"{path}[{index}]", item) for index, item in enumerate(value)]
    return _text(path, value)


def _text(path: str, value: Any) -> Any:
    """A literal of the tree: texts, numbers and booleans are taken as they are."""
    if isinstance(value, str | int | float):
        return value
    raise Invalid(path, "must be a text, a number, true or false")
