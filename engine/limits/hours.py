"""Send windows and quiet hours, in the recipient's own time zone. Values in, values out.

A minute is open when it lies in some send window (if there are any) and in no quiet hours, by everybody's rules
together: the organization's and the campaign's. A recipient's zone is its attribute `timezone` (or `time_zone`), else
its country's, else the organization's, else UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol
from zoneinfo import ZoneInfo

from engine.limits.windows import DAYS
from engine.limits.zones import zone_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engine.limits.windows import Window

__all__ = ["HourRules", "Hours"]

_DAY = 24 * 60
_WEEK = 7 * _DAY


class HourRules(Protocol):
    """The hours that a campaign or an organization allows."""

    @property
    def send_windows(self) -> Sequence[Window]:
        """Nothing is sent outside of all of them; none: any time."""
        ...

    @property
    def quiet_hours(self) -> Sequence[Window]:
        """Nothing is sent within any of them."""
        ...


class Hours:
    """When may be sent, by everybody's rules together.

    Args:
        rules: Whose send windows and quiet hours count.
        default_zone: For recipients whose zone is not known (IANA); None: UTC.
    """

    def __init__(self, rules: Sequence[HourRules], *, default_zone: str | None = None) -> None:
        self._default_zone = default_zone or "UTC"
        self.limited = any(rule.send_windows or rule.quiet_hours for rule in rules)
        """Whether there is a rule at all."""
        self._open = bytearray(b"\1" * _WEEK)
        """Each minute of a week from Monday 00:00, local time."""
        for rule in rules:
            if rule.send_windows:
                inside = _minutes(rule.send_windows)
                self._open = bytearray(a & b for a, b in zip(self._open, inside, strict=True))
            if rule.quiet_hours:
                quiet = _minutes(rule.quiet_hours)
                self._open = bytearray(a & (1 - b) for a, b in zip(self._open, quiet, strict=True))
        self.never = not any(self._open)
        """Whether no minute of the week is left."""
        self._changes: dict[tuple[str, datetime, int], datetime | None] = {}

    def zone(self, attributes: Mapping[str, Any]) -> str:
        """The zone whose clock counts for a recipient (IANA)."""
        return zone_of(attributes) or self._default_zone

    def opens_at(self, attributes: Mapping[str, Any], now: datetime) -> datetime | None:
        """When the recipient may be written to; None: now.

        Args:
            now: An aware instant.
        """
        return self.opens_in(self.zone(attributes), now)

    def opens_in(self, zone: str, now: datetime) -> datetime | None:
        """When somebody who lives in `zone` may be written to; None: now."""
        return self._change(zone, now, to=1)

    def closes_in(self, zone: str, now: datetime) -> datetime | None:
        """When somebody who lives in `zone` and may be written to at `now` may not any more; None: not within a
        week.
        """
        return self._change(zone, now, to=0)

    def _change(self, zone: str, now: datetime, *, to: int) -> datetime | None:
        minute = now.astimezone(UTC).replace(second=0, microsecond=0)
        key = (zone, minute, to)
        if key not in self._changes:
            if len(self._changes) > 1000:  # noqa: PLR2004 - a day of minutes in every zone is not worth keeping
                self._changes.clear()
            self._changes[key] = self._next(ZoneInfo(zone), minute, to)
        return self._changes[key]

    def _next(self, zone: ZoneInfo, minute: datetime, to: int) -> datetime | None:
        """The first minute from `minute` on that is open (`to` 1) or closed (0); None when that is `minute` itself, or
        none is ever closed. Where none is ever open, it is looked again in a week.

        Walks real minutes and asks each what the clock on the wall says, so that hours which a change of clocks skips
        or repeats need no rule of their own. An hour's end is looked at first: most of a closed night is passed in
        large steps.
        """
        if self._is(to, minute.astimezone(zone)):
            return None
        instant = minute
        for _ in range(_WEEK + _DAY):
            local = instant.astimezone(zone)
            position = local.weekday() * _DAY + local.hour * 60 + local.minute
            ahead = (self._open + self._open).find(to, position)
            if ahead < 0:
                return minute + timedelta(days=7) if to else None
            # No further than the next full hour: there the clock on the wall may jump.
            step = max(1, min(ahead - position, 60 - local.minute))
            instant += timedelta(minutes=step)
            if self._is(to, instant.astimezone(zone)):
                return instant
        return minute + timedelta(days=7)  # the open minutes of this week were skipped by a change of clocks

    def _is(self, wanted: int, local: datetime) -> bool:
        return self._open[local.weekday() * _DAY + local.hour * 60 + local.minute] == wanted


def _minutes(windows: Sequence[Window]) -> bytearray:
    """Each minute of a week: 1 where one of `windows` is."""
    week = bytearray(_WEEK)
    for window in windows:
        begin, end = window.minutes
        for day in window.days:
            start = DAYS.index(day) * _DAY
            for minute in range(start + begin, start + end):
                week[minute % _WEEK] = 1
    return week
