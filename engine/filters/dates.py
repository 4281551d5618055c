"""Days, instants and date words of filters.

A literal that reads as a date names a span: a day, a second, or a period (`TODAY`, `LAST_MONTH`). To equal a span is to
lie within it, to be greater is to lie after its end, to be less is to lie before its start. Weeks start on Monday. Days
and words are those of the organization: `now` comes in its time zone (engine.filters.calendar).

| read as | written |
|---|---|
| day | `2026-03-02` `2026/3/2` `02.03.2026` `2.3.2026` `02-03-2026` |
| time | after a day and a `T` or a blank: `9:00` `09:00:00` `09:00:00.123` |
| zone | after a time, apart or not: `Z` `UTC` `GMT` `+01` `+0100` `+01:00` |

An instant without a zone is in UTC. What an attribute says is read by the same grammar, but its day is not looked up in
a calendar (`31-02-2026` lies between the 30th and the 1st of March). Compared with days, an instant that names its zone
is looked at in the organization's zone, and one that names none lies on the day that is written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from dateutil.relativedelta import relativedelta

from engine.filters.texts import trim

__all__ = [
    "DATE_PATTERN",
    "DATE_WORDS",
    "ZONED_PATTERN",
    "Days",
    "Second",
    "Span",
    "day_of",
    "is_date_elsewhere",
    "read_date",
    "second_of",
    "zoned_second_of",
]

_DAY = "(0[1-9]|[12][0-9]|3[01])"
_MONTH = "(0[1-9]|1[0-2])"
_SHORT_DAY = "(0?[1-9]|[12][0-9]|3[01])"
_SHORT_MONTH = "(0?[1-9]|1[0-2])"
_WRITTEN_DAY = (
    f"(?:([0-9]{{4}})(?:-{_MONTH}-{_DAY}|/{_SHORT_MONTH}/{_SHORT_DAY})"
    rf"|(?:{_DAY}-{_MONTH}-|{_SHORT_DAY}\.{_SHORT_MONTH}\.)([0-9]{{4}}))"
)
_TIME = "(?:[Tt]| +)([01]?[0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9])(?:[.,][0-9]+)?)?"
_UTC = "(?:[Zz]|[Uu][Tt][Cc]|[Gg][Mm][Tt])"
_ZONE = f" *(?:{_UTC}|([+-])(0[0-9]|1[0-4])(?::?([0-5][0-9]))?(?: *{_UTC})?)"
#: The same grammars in Python and in PostgreSQL's regular expressions, of texts without blanks around them.
DATE_PATTERN = f"^{_WRITTEN_DAY}(?:{_TIME}(?:{_ZONE})?)?$"
ZONED_PATTERN = f"^{_WRITTEN_DAY}{_TIME}{_ZONE}$"

_DATE = re.compile(DATE_PATTERN)
_ZONED = re.compile(ZONED_PATTERN)
_MONTH_NAME = r"(?:jan|feb|mar|mär|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez)[^\W\d_]*\.?"
#: What does not read as a date, and a person would read as one.
_ELSEWHERE = re.compile(
    r"(?:(?:[^\W\d_]{2,10}\.?,? +)?(?:"  # a weekday may stand before it
    r"[0-9]{4}[-/.][0-9]{1,2}[-/.][0-9]{1,2}|[0-9]{1,2}[-/.][0-9]{1,2}[-/.][0-9]{4}|[0-9]{1,2}/[0-9]{1,2}/[0-9]{2}"
    r"|[0-9]{2}([.-])[0-9]{2}\1[0-9]{2}"
    rf"|[0-9]{{1,2}}(?:st|nd|rd|th|\.)?[ -]*{_MONTH_NAME}[ ,-]*(?:[0-9]{{4}}|[0-9]{{2}})"
    rf"|{_MONTH_NAME} *[0-9]{{1,2}}(?:st|nd|rd|th)?,? +[0-9]{{4}})(?:[T ,]+[0-9]{{1,2}}:[0-9]{{2}}.{{0,20}})?"
    r"|now|today|yesterday|tomorrow|(?:last|this|next)[ _-](?:day|week|month|quarter|year)"
    r"|[0-9]{1,4} (?:day|week|month|year)s? ago)",
    re.IGNORECASE,
)
_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)
#: The group of the patterns that holds the hour; minute, second, sign, hours and minutes of the zone follow.
_HOUR = 11
_SECONDS_A_DAY = 86_400
_MARCH = 3
#: Days from 0000-03-01 to 1970-01-01, and in 400 years.
_EPOCH, _CYCLE = 719_468, 146_097


@dataclass(frozen=True, slots=True)
class Days:
    """Whole days of a time zone, both ends included."""

    first: date
    last: date
    zone: tzinfo = field(default=UTC, compare=False)

    def instants(self) -> tuple[datetime, datetime]:
        """The span in UTC: its start, and the instant after its end (the end of time for the last day there
        is).
        """
        start = self._midnight(self.first)
        if self.last == date.max:
            return start, datetime.max.replace(tzinfo=UTC)
        return start, self._midnight(self.last + timedelta(days=1))

    def seconds(self) -> tuple[int, int]:
        """The same in seconds since 1970, without an end of time."""
        start, last = (
            int(datetime.combine(day, time(), self.zone).timestamp()) for day in (self.first, self.last)
        )
        if self.last == date.max:
            return start, last + _SECONDS_A_DAY
        return start, int(datetime.combine(self.last + timedelta(days=1), time(), self.zone).timestamp())

    def _midnight(self, day: date) -> datetime:
        try:
            return datetime.combine(day, time(), self.zone).astimezone(UTC)
        except OverflowError:  # the first and the last day there are, beside UTC
            return datetime.combine(day, time(), UTC)


@dataclass(frozen=True, slots=True)
class Second:
    """One second, in UTC."""

    start: datetime

    def instants(self) -> tuple[datetime, datetime]:
        """The span in UTC: its start, and the instant after its end."""
        return self.start, self.start + timedelta(seconds=1)

    def seconds(self) -> tuple[int, int]:
        """The same in seconds since 1970."""
        start = int(self.start.timestamp())
        return start, start + 1


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
    today = now.date()
    if word in _OFFSETS:
        day = today + timedelta(days=_OFFSETS[word])
        return Days(day, day, now.tzinfo or UTC)
    step, period = word.split("_")
    length = _LENGTHS[period]
    first = _start(period, today) + length * _STEPS[step]
    return Days(first, first + length - timedelta(days=1), now.tzinfo or UTC)


def read_date(text: str, now: datetime) -> Span | None:
    """The span that a literal names, or None when it does not read as a date.

    Args:
        text: A word of `DATE_WORDS`, a day or an instant.
        now: Aware; what the date words are reckoned from, and whose zone's days are meant.
    """
    if text in DATE_WORDS:
        return _word(text, now)
    found = _DATE.fullmatch(trim(text))
    if found is None:
        return None
    try:
        day = date(*_day(found))
        if found[_HOUR] is None:
            return Days(day, day, now.tzinfo or UTC)
        return Second(datetime.combine(day, time(), UTC) + timedelta(seconds=_second_of_day(found)))
    except (ValueError, OverflowError):
        # It looks like a date, but no calendar has that day.
        return None


def is_date_elsewhere(text: str) -> bool:
    """Whether people write dates so that do not read as one here, because another country means something else, or no
    calendar has that day (`03/02/2026`, `3 Feb 2026`, `31.02.2026`, `today`).
    """
    plain = trim(text)
    return read_date(plain, _ANY_TIME) is None and _ELSEWHERE.fullmatch(plain) is not None


def day_of(text: str) -> str | None:
    """The day that an attribute's text names as yyyy-mm-dd, whatever the time; None when it reads as no date."""
    found = _DATE.fullmatch(trim(text))
    if found is None:
        return None
    if found[2] is not None:  # as most are written
        return f"{found[1]}-{found[2]}-{found[3]}"
    return "{:04}-{:02}-{:02}".format(*_day(found))


def second_of(text: str) -> int | None:
    """The instant that an attribute's text names in whole seconds since 1970; a day is its midnight in UTC."""
    return _second(_DATE.fullmatch(trim(text)))


def zoned_second_of(text: str) -> int | None:
    """The same where the text names an instant with its zone, else None."""
    return _second(_ZONED.fullmatch(trim(text)))


def _second(found: re.Match[str] | None) -> int | None:
    if found is None:
        return None
    midnight = _days_since_1970(*_day(found)) * _SECONDS_A_DAY
    return midnight if found[_HOUR] is None else midnight + _second_of_day(found)


def _day(found: re.Match[str]) -> tuple[int, int, int]:
    """Year, month and day as written."""
    if found[1] is not None:
        return int(found[1]), int(found[2] or found[4]), int(found[3] or found[5])
    return int(found[10]), int(found[7] or found[9]), int(found[6] or found[8])


def _second_of_day(found: re.Match[str]) -> int:
    """Seconds from the written day's midnight in UTC to the instant; a zone may lead out of the day."""
    hour, minute, second, sign, hours, minutes = found.group(*range(_HOUR, _HOUR + 6))
    local = int(hour) * 3600 + int(minute) * 60 + int(second or 0)
    if sign is None:
        return local
    offset = int(hours) * 3600 + int(minutes or 0) * 60
    return local - offset if sign == "+" else local + offset


def _days_since_1970(year: int, month: int, day: int) -> int:
    """Of the proleptic Gregorian calendar, from the year 0; the 31st of February is the 3rd of March, or the 2nd.

    Counted in years that begin with March, whose months' lengths repeat every five.
    """
    if month < _MARCH:
        year, month = year - 1, month + 12
    cycle, year_of_cycle = divmod(year, 400)
    day_of_year = (153 * (month - _MARCH) + 2) // 5 + day - 1
    day_of_cycle = year_of_cycle * 365 + year_of_cycle // 4 - year_of_cycle // 100 + day_of_year
    return cycle * _CYCLE + day_of_cycle - _EPOCH
