"""`--where "Country = Norway"`: a condition as people write it, read into the filter tree's words.

`KEY OPERATOR VALUE`, the operator surrounded by spaces or not: `= != > >= < <=`, `contains`, `not contains`,
`in (a, b)`, `not in (a, b)`, `is empty`, `is not empty`. A value or key that holds an operator goes in
quotes. What the condition means is the engine's business (engine.audience.filters).
"""

from __future__ import annotations

import re
from typing import Any

from actors.cli.failure import Exit, Failure

__all__ = ["filters_of", "read_condition"]

_SYMBOLS = {
    ">=": "GREATER_THAN_OR_EQUAL",
    "<=": "LESS_THAN_OR_EQUAL",
    "!=": "NOT_EQUALS",
    "<>": "NOT_EQUALS",
    "==": "EQUALS",
    "=": "EQUALS",
    ">": "GREATER_THAN",
    "<": "LESS_THAN",
}
_WORDS = {
    "not contains": "NOT_CONTAINS",
    "contains": "CONTAINS",
    "not in": "IS_NONE_OF",
    "in": "IS_ONE_OF",
    "is not empty": "NOT_EMPTY",
    "is empty": "EMPTY",
}
_OPERATOR = re.compile(
    r"\s*(?P<symbol>>=|<=|!=|<>|==|=|>|<)\s*"
    r"|\s+(?P<word>is\s+not\s+empty|is\s+empty|not\s+contains|contains|not\s+in|in)(?=\s|\(|$)\s*",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"""\s*("(?P<double>[^"]*)"|'(?P<single>[^']*)')""")
_EXAMPLE = "write it like 'Country = Norway', 'age >= 18', 'city in (Oslo, Bergen)' or 'email is not empty'"


def read_condition(text: str) -> dict[str, Any]:
    """One condition as an item of a filter tree.

    Raises:
        Failure: it is no such condition.
    """
    key, rest = _key(text)
    found = _OPERATOR.match(rest)
    if found is None or not key:
        raise Failure(f"the condition {text!r} cannot be read", _EXAMPLE, code=Exit.USAGE)
    value = rest[found.end() :].strip()
    if (symbol := found["symbol"]) is not None:
        return {"key": key, "operator": _SYMBOLS[symbol], "value": _unquoted(value)}
    operator = _WORDS[" ".join(found["word"].lower().split())]
    if operator in ("EMPTY", "NOT_EMPTY"):
        if value:
            raise Failure(f"nothing may follow {found['word']!r} in {text!r}", _EXAMPLE, code=Exit.USAGE)
        return {"key": key, "operator": operator}
    if operator in ("IS_ONE_OF", "IS_NONE_OF"):
        return {"key": key, "operator": operator, "value": _listed(value, text)}
    return {"key": key, "operator": operator, "value": _unquoted(value)}


def filters_of(conditions: list[str], *, combine: str = "AND") -> dict[str, Any]:
    """`entity_filters` in which all (`AND`) or any (`OR`) of the conditions hold."""
    return {"filter": {"items": [read_condition(text) for text in conditions], "combination": combine}}


def _key(text: str) -> tuple[str, str]:
    """The key, and what follows it."""
    quoted = _QUOTED.match(text)
    if quoted is not None:
        return quoted["double"] or quoted["single"] or "", text[quoted.end() :] + " "
    found = _OPERATOR.search(text)
    return ("", "") if found is None else (text[: found.start()].strip(), text[found.start() :])


def _unquoted(value: str) -> str:
    quoted = _QUOTED.fullmatch(value)
    return value if quoted is None else quoted["double"] or quoted["single"] or ""


def _listed(value: str, text: str) -> list[str]:
    if not (value.startswith("(") and value.endswith(")")):
        raise Failure(f"the list in {text!r} needs brackets", _EXAMPLE, code=Exit.USAGE)
    items = re.findall(r"""\s*("[^"]*"|'[^']*'|[^,]+)\s*(?:,|$)""", value[1:-1])
    return [_unquoted(item.strip()) for item in items]
