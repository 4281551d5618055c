"""Plain filters, `{"location": ["US", "CA"], "ageRange": [18, 45]}`, as the filter tree that selects (contract.md §3).

| written | means |
|---|---|
| `"city": "Oslo"`, `"age": 30` | equals |
| `"location": ["US", "CA"]` | is one of them; of an attribute that is a list: has one of them |
| `"ageRange": [18, 45]` | `age` from 18 to 45, both included; `null` on one side leaves it open |
| `"newsletter": true` | is there, and is neither empty nor false |
| `"newsletter": false` | is empty, false, or not there |
| `"phone": null` | is empty or not there |
| `"age": {"gte": 18, "lt": 45}` | the comparisons by name: eq ne gt gte lt lte in nin contains ncontains exists |
| `{"filter": {…}}` | the tree itself, as the Targeting API has it |

All of them must hold. Names are the attributes' own, exactly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.audience.filters import FilterError, parse_filters
from engine.inputs import Invalid
from engine.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["tree_of"]

_RANGE = "Range"
_ENDS = 2
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
    if wanted:
        items = [
            {"key": key, "operator": "NOT_EMPTY"},
            {"key": key, "operator": "NOT_EQUALS", "value": "false"},
        ]
        return {"items": items, "combination": "AND"}
    items = [{"key": key, "operator": "EMPTY"}, {"key": key, "operator": "EQUALS", "value": "false"}]
    return {"items": items, "combination": "OR"}


def _of_list(key: str, values: list[Any]) -> list[_Item]:
    name = key.removesuffix(_RANGE)
    if name and name != key and len(values) == _ENDS and all(_is_end(value) for value in values):
        operators = ("GREATER_THAN_OR_EQUAL", "LESS_THAN_OR_EQUAL")
        ends = [
            {"key": name, "operator": operator, "value": _text(key, value)}
            for operator, value in zip(operators, values, strict=True)
            if value is not None
        ]
        if ends:
            return ends
    if not values:
        raise Invalid(key, "names nothing; leave it out to ask for nothing")
    return [
        {
            "key": key,
            "operator": "IS_ONE_OF",
            "value": [_text(f"{key}[{index}]", value) for index, value in enumerate(values)],
        }
    ]


def _is_end(value: Any) -> bool:
    """A range is of numbers, or of dates."""
    return (
        value is None or (isinstance(value, int | float) and not isinstance(value, bool)) or _is_date(value)
    )


def _is_date(value: Any) -> bool:
    return isinstance(value, str) and value[:4].isdigit() and "-" in value


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
