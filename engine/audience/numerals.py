"""When a text reads as a number.

Plain decimals of at most 15 characters: every one of them is told apart by a double, so PostgreSQL, SQLite
and Python agree on each comparison. Longer digit strings are card and account numbers, `1e5` is a product
code, `+49…` a
telephone: they stay text.
"""

from __future__ import annotations

import re

__all__ = ["MAX_LENGTH", "NUMBER_PATTERN", "json_number", "reads_number"]

MAX_LENGTH = 15
#: The same grammar in Python and in PostgreSQL's regular expressions.
NUMBER_PATTERN = r"^-?[0-9]+(\.[0-9]+)?$"

_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_INTEGER = re.compile(r"-?[0-9]{1,20}")
#: What every part of Muster holds exactly (`engine.inputs`), end excluded.
_INTEGERS = range(-(2**63), 2**63)


def reads_number(text: str) -> bool:
    """Whether a literal or an attribute's text takes part in comparisons as a number."""
    return len(text) <= MAX_LENGTH and _NUMBER.fullmatch(text) is not None


def json_number(text: str) -> int | float | None:
    """The JSON number that a literal equals, if any. Integers are exact up to 64 bits: ids are integers."""
    if _INTEGER.fullmatch(text):
        return number if (number := int(text)) in _INTEGERS else None
    return float(text) if reads_number(text) else None
