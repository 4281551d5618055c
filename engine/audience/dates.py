"""Days, instants and date words of filters.

A literal that reads as a date names a span: a day (`2026-03-02`, `02-03-2026`, `02.03.2026`), a second
(`2026-03-02T09:00:00Z`; without a zone it is UTC) or a period (`TODAY`, `LAST_MONTH`). To equal a span is to
lie within it, to be greater is to lie after its end, to be less is to lie before its start. Weeks start on
Monday; the words are reckoned from the UTC day of `now`.

What an attribute says is read by the same grammar, but its day is not looked up in a calendar (`31-02-2026`
lies between the 30th and the 1st of March), and a time in it is ignored when the literal is a day or a
period.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from dateutil.relativedelta import relativedelta

__all__ = ["DATE_WORDS", "Days", "Second", "Span", "read_date"]

_DAY = r"(0[1-9]|[12][0-9]|3[01])"
_MONTH = r"(0[1-9]|1[0-2])"
_ISO = re.compile(rf"([0-9]{{4}})-{_MONTH}-{_DAY}")
_REVERSED = re.compile(rf"{_DAY}(?:-{_MONTH}-|\.{_MONTH}\.)([0-9]{{4}})")
_TIMED = re.compile(
    rf"([0-9]{{4}}-{_MONTH}-{_DAY})[T ]((?:[01][0-9]|2[0-3]):[0-5][0-9])(?:(:[0-5][0-9])(?:\.[0-9]+)?)?"
    r"(Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])?"
)


@dataclass(frozen=True, slots=True)
class Days:
    """Whole days, both ends included."""

    first: date
    last: date

    def instants(self) -> tuple[datetime, datetime]:
        """The span in UTC: its start, and the instant after its end (the end of time for the last day there
        is).
        """
        start = datetime.combine(self.first, time(), UTC)
        if self.last == date.max:
            return start, datetime.max.replace(tzinfo=UTC)
        return start, datetime.combine(self.last + timedelta(days=1), time(), UTC)


@dataclass(frozen=True, slots=True)
class Second:
    """One second, in UTC."""

    start: datetime

    @property
    def epoch(self) -> int:
        """Seconds since 1970."""
        return int(self.start.timestamp())

    def instants(self) -> tuple[datetime, datetime]:
        """The span in UTC: its start, and the instant after its end."""
        return self.start, self.start + timedelta(seconds=1)


Span = Days | Second

#: Days: offset from today. Periods: how the first day of the current one is found, and its length.
_OFFSETS = {"TODAY": 0, "YESTERDAY": -1, "TOMORROW": 1}
_LENGTHS = {
    "WEEK": relativedelta(weeks=1),
    "MONTH": relativedelta(months=1),
    "YEAR": relativedelta(years=1),
}
_STEPS = {"LAST": -1, "THIS": 0, "NEXT": 1}

DATE_WORDS = (*_OFFSETS, *(f"{step}_{period}" for period in _LENGTHS for step in _STEPS))


def _start(period: str, today: date) -> date:
    if period == "WEEK":
        return today - timedelta(days=today.weekday())
    if period == "MONTH":
        return today.replace(day=1)
    return today.replace(month=1, day=1)


def _word(word: str, now: datetime) -> Days:
    today = now.astimezone(UTC).date()
    if word in _OFFSETS:
        day = today + timedelta(days=_OFFSETS[word])
        return Days(day, day)
    step, period = word.split("_")
    length = _LENGTHS[period]
    first = _start(period, today) + length * _STEPS[step]
    return Days(first, first + length - timedelta(days=1))


def read_date(text: str, now: datetime) -> Span | None:
    """The span that a literal names, or None when it does not read as a date.

    Args:
        text: A word of `DATE_WORDS`, a day or an instant.
        now: Aware; what the date words are reckoned from.
    """
    if text in DATE_WORDS:
        return _word(text, now)
    try:
        if _ISO.fullmatch(text):
            day = date.fromisoformat(text)
            return Days(day, day)
        if match := _REVERSED.fullmatch(text):
            day = date(int(match[4]), int(match[2] or match[3]), int(match[1]))
            return Days(day, day)
        if match := _TIMED.fullmatch(text):
            zone = "+00:00" if match[6] in (None, "Z") else match[6]
            return Second(
                datetime.fromisoformat(f"{match[1]}T{match[4]}{match[5] or ''}{zone}").astimezone(UTC)
            )
    except (ValueError, OverflowError):
        # It looks like a date, but no calendar has that day.
        return None
    return None
