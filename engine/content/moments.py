"""What a value says about time: a day, or an instant.

Attributes come from files and forms, so several ways of writing are read: what filters of the audience read
(`2026-03-02`, `02.03.2026`, `02-03-2026`, `2026-03-02T09:00:00Z`), ISO 8601, seconds or milliseconds since 1970, days
with an English month's name and a year of four digits (`March 2, 2026`), and days with slashes.

Of `03/02/2026` the reader's locale says which is the month, where it does: `en` alone does not, because `en-US` and
`en-GB` disagree. Where both could be meant, and where a locale's own reading gives no day, it is no date, so that no
column is read by two rules. Nothing else is guessed.

A day stays that day for every reader; an instant is shown in the reader's time zone. A time without a zone is in UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from dateutil.parser import ParserError, parse

from engine.filters.dates import DATE_WORDS, Days, Second, read_date
from engine.kernel.blanks import BLANKS

if TYPE_CHECKING:
    from collections.abc import Callable

    from babel import Locale

__all__ = ["read_moment"]

#: Longer than any way of writing a date down.
_LONGEST = 64
#: Above this a number counts milliseconds: as seconds it would be in the year 5138.
_MILLISECONDS = 100_000_000_000
_NOW = ("now", "today")
#: Digits of seconds (from 1973 on) and milliseconds since 1970.
_EPOCH_DIGITS = range(9, 14)
_SLASHES = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})(?:[T ]+(\d{1,2}:\d{2}(?::\d{2})?))?")
_ISO = re.compile(r"\d{4}-[\dW].*|\d{8}T.*")
_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
#: A month's name, one day and one year; what is left over of it is a time, or the name of a weekday.
_WITH_NAME = re.compile(
    rf"(?=\D*(?:\d{{1,2}}\D+\d{{4}}|\d{{4}}\D+\d{{1,2}})(?!\d))(?=[^:]*\b(?:{_MONTHS})[a-z]*\b).*",
    re.IGNORECASE,
)
_MOST_MONTHS = 12
_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)


def read_moment(value: Any, now: Callable[[], datetime], locale: Locale) -> date | datetime | None:
    """A day, an aware instant, or None when the value says neither.

    Args:
        value: Anything an attribute may hold.
        now: What time it is: for the words `now` and `today`.
        locale: The reader's; says which of two numbers is the month.
    """
    if isinstance(value, datetime):
        return value if value.tzinfo is not None else value.astimezone(UTC)
    if isinstance(value, date):
        return value
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return _since_1970(float(value)) if value >= 10 ** (_EPOCH_DIGITS[0] - 1) else None
    if not isinstance(value, str) or len(value) > _LONGEST:
        return None
    text = value.strip(BLANKS)
    if text in _NOW:
        return now()
    slashes = _SLASHES.fullmatch(text)
    return _read(text) if slashes is None else _by_locale(slashes, locale)


def _by_locale(found: re.Match[str], locale: Locale) -> date | datetime | None:
    """A day with slashes, and its time, where only one reading is possible."""
    first, second = int(found[1]), int(found[2])
    order = _order(locale)
    if order is None and first != second and max(first, second) <= _MOST_MONTHS:
        return None
    month_first = order == "M" if order is not None else second > _MOST_MONTHS
    month, day = (first, second) if month_first else (second, first)
    written = f"{found[3]}-{month:02}-{day:02}"
    return _read(written if found[4] is None else f"{written} {found[4]}")


@lru_cache(maxsize=256)
def _order(locale: Locale) -> str | None:
    """`d` or `M`, whichever the locale writes first in a short date; None: its language does both, or the year."""
    if locale.territory is None and locale.language == "en":
        return None
    first = next(letter for letter in str(locale.date_formats["short"].pattern) if letter in "dMy")
    return first if first in "dM" else None


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
    """ISO 8601, or by dateutil, twice: what is not in the text is taken from a default, and a day has no time."""
    if _ISO.fullmatch(text):
        return _iso(text)
    if not _WITH_NAME.fullmatch(text):
        return None
    try:
        one = parse(text, default=datetime(2000, 1, 1))  # noqa: DTZ001 - a zone is looked at below
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


def _iso(text: str) -> date | datetime | None:
    try:
        if "T" not in text and " " not in text:
            return date.fromisoformat(text)
        read = datetime.fromisoformat(text)
        return read.astimezone(UTC) if read.tzinfo is not None else read.replace(tzinfo=UTC)
    except (OverflowError, ValueError):
        return None


def _since_1970(number: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(number / 1000 if abs(number) >= _MILLISECONDS else number, UTC)
    except (OverflowError, OSError, ValueError):
        return None
