"""When a text reads as a number.

Plain decimals of at most 15 characters, with or without blanks around them: every one of them is distinguished by a
double, so PostgreSQL, SQLite and Python agree on each comparison. Longer digit strings are card and account numbers,
`1e5` is a product code, `+49…` a telephone: they stay text. `1,234.50` and `12,5` are texts too, because the one means
in one country what the other means in the next.
"""

from __future__ import annotations

import re

from engine.filters.texts import trim

__all__ = ["MAX_LENGTH", "NUMBER_PATTERN", "is_number_elsewhere", "json_number", "number_of", "reads_number"]

MAX_LENGTH = 15
#: The same grammar in Python and in PostgreSQL's regular expressions.
NUMBER_PATTERN = r"^-?[0-9]+(\.[0-9]+)?$"

_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
#: A number with separators, a currency or a percent sign.
_ELSEWHERE = re.compile(
    r"(?=.*[.,'\u2019\u2212%$\u20ac\u00a3\u00a5\u00a0\u202f ])"
    r"[$\u20ac\u00a3\u00a5]?\s*[-+\u2212]?\s*\d{1,3}(?:[.,'\u2019\s]?\d{3})*(?:[.,]\d+)?\s*[$\u20ac\u00a3\u00a5%]?"
)
_INTEGER = re.compile(r"-?[0-9]{1,20}")
#: What every part of Muster holds exactly (`engine.kernel.inputs`), end excluded.
_INTEGERS = range(-(2**63), 2**63)


def reads_number(text: str) -> bool:
    """Whether a literal or an attribute's text takes part in comparisons as a number."""
    return number_of(text) is not None


def number_of(text: str) -> float | None:
    """The double that a text reads as, or None."""
    plain = trim(text)
    return float(plain) if len(plain) <= MAX_LENGTH and _NUMBER.fullmatch(plain) is not None else None


def is_number_elsewhere(text: str) -> bool:
    """Whether people write numbers so that do not read as one here, because another country means something else
    (`1,234.50`, `12,5`, `1 000`, `50 %`).
    """
    return not reads_number(text) and _ELSEWHERE.fullmatch(trim(text)) is not None


def json_number(text: str) -> int | float | None:
    """The JSON number that a literal equals, if any. Integers are exact up to 64 bits: ids are integers."""
    plain = trim(text)
    if _INTEGER.fullmatch(plain):
        return number if (number := int(plain)) in _INTEGERS else None
    return number_of(plain)
