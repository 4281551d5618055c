"""What a value says about time: a day, or an instant.

Attributes come from files and forms, so several ways of writing are read: what filters of the audience read
(`2026-03-02`, `02.03.2026`, `02-03-2026`, `2026-03-02T09:00:00Z`), seconds or milliseconds since 1970, and what else
`dateutil` understands (`March 2, 2026`). A day stays that day for every reader; an instant is shown in the reader's
time zone. A time without a zone is in UTC.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from dateutil.parser import ParserError, parse

from engine.audience.dates import DATE_WORDS, Days, Second, read_date

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["read_moment"]

#: Longer than any way of writing a date down.
_LONGEST = 64
#: Above this a number counts milliseconds: as seconds it would be in the year 5138.
_MILLISECONDS = 100_000_000_000
_NOW = ("now", "today")
_EPOCH_DIGITS = range(9, 14)
_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)


def read_moment(value: Any, now: Callable[[], datetime]) -> date | datetime | None:
    """A day, an aware instant, or None when the value says neither.

    Args:
        value: Anything an attribute may hold.
        now: What time it is: for the words `now` and `today`.
    """
    if isinstance(value, datetime):
        return value if value.tzinfo is not None else value.astimezone(UTC)
    if isinstance(value, date):
        return value
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return _since_1970(float(value))
    if not isinstance(value, str) or len(value) > _LONGEST:
        return None
    text = value.strip()
    if text in _NOW:
        return now()
    return _read(text)


@lru_cache(maxsize=4096)
def _read(text: str) -> date | datetime | None:
    found = None if text in DATE_WORDS else read_date(text, _ANY_TIME)  # words are for filters, not for data
    if isinstance(found, Days):
        return found.first
    if isinstance(found, Second):
        return found.start
    if text.isascii() and text.isdigit():
        return _since_1970(float(text)) if len(text) in _EPOCH_DIGITS else None
    return _otherwise(text)


def _otherwise(text: str) -> date | datetime | None:
    """By dateutil, twice: what is not in the text is taken from a default, and a day has no time."""
    if not any(character.isdigit() for character in text):
        return None
    try:
        one = parse(text, default=datetime(2000, 1, 1))  # noqa: DTZ001 - a zone is told apart below
        other = parse(text, default=datetime(2001, 2, 2, 1, 1, 1, 1))  # noqa: DTZ001
    except (ParserError, OverflowError, ValueError, TypeError, AttributeError, RecursionError):
        return None
    if one.date() != other.date():
        return None  # a time of day, or a month without a year: not a date
    if one.time() != other.time() and one.tzinfo is None:
        return one.date()
    try:
        return one.astimezone(UTC) if one.tzinfo is not None else one.replace(tzinfo=UTC)
    except (OverflowError, ValueError):
        return None


def _since_1970(number: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(number / 1000 if abs(number) >= _MILLISECONDS else number, UTC)
    except (OverflowError, OSError, ValueError):
        return None
