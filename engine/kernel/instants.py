"""Instants as people and programs write them, and the rule that a plan is not made for the past.

What lies up to a minute back is now: clocks differ, and a request takes its time. A day is past once it is over
everywhere on earth, so that nobody's today is refused.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated

from pydantic import AwareDatetime, BeforeValidator

from engine.kernel.inputs import Invalid

__all__ = ["SLACK", "WrittenDay", "WrittenInstant", "is_past", "read_instant", "refuse_past"]

#: How far back an instant is still now.
SLACK = timedelta(minutes=1)
#: The last place on earth where a day is over is so far behind UTC.
_LAST_ZONE = timedelta(hours=12)
_DAY_LENGTH = len("2026-11-24")


def _written(example: str) -> BeforeValidator:
    """Refuses numbers: a spreadsheet's day 45000 and an epoch's milliseconds are texts and numbers as well."""

    def check(value: object) -> object:
        plain = value.strip().lstrip("+-").replace(".", "", 1) if isinstance(value, str) else ""
        if isinstance(value, bool | int | float) or plain.isdecimal():
            raise ValueError(f"must be {example}; {str(value)[:32]!r} is a number")
        return value

    return BeforeValidator(check)


#: Of documents that people and programs write: ISO 8601, and no number of days or seconds.
WrittenDay = Annotated[date, _written("a day like 2026-11-24")]
WrittenInstant = Annotated[AwareDatetime, _written("a date and time like 2026-11-24T10:00:00Z")]


def read_instant(text: str, *, last: bool = False) -> datetime:
    """ISO 8601 as an aware instant in UTC: a time without a zone is in UTC, a day alone is its beginning.

    Args:
        last: A day alone is its last second.

    Raises:
        ValueError: it is none, or lies outside of the years 1 to 9999.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("must be a date and time like 2026-11-24T10:00:00Z") from None
    if last and len(text) == _DAY_LENGTH:
        found = datetime.combine(found.date(), time(23, 59, 59))
    try:
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except OverflowError:
        raise ValueError("is out of range") from None


def is_past(when: date | datetime, now: datetime) -> bool:
    """Whether a plan for `when` comes too late.

    Args:
        when: An aware instant, or a day. Midnight in UTC is what is left of a day, and counts as one.
        now: An aware instant.
    """
    if isinstance(when, datetime):
        when = when.astimezone(UTC)
        if when.time() != time():
            return when < now - SLACK
        when = when.date()
    return when < (now - _LAST_ZONE).astimezone(UTC).date()


def refuse_past(field: str, when: date | datetime | None, now: datetime) -> None:
    """See that a plan is not for the past.

    Raises:
        Invalid: it is; names the field.
    """
    if when is not None and is_past(when, now):
        raise Invalid(field, f"{when.isoformat()} is in the past")
