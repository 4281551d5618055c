"""Send windows and quiet hours, in the recipient's own time zone. Values in, values out.

A minute is open when it lies in some send window (if there are any) and in no quiet hours, by everybody's rules
together: the organization's and the campaign's. A recipient's zone is its attribute `timezone` (or `time_zone`), else
its country's, else the organization's, else UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from engine.limits.config import DAYS
from engine.limits.zones import zone_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engine.limits.config import CampaignLimits, Window

__all__ = ["Hours"]

_DAY = 24 * 60
_WEEK = 7 * _DAY


class Hours:
    """When may be sent, by everybody's rules together.

    Args:
        rules: Whose send windows and quiet hours count.
        default_zone: For recipients whose zone is not known (IANA); None: UTC.
    """

    def __init__(self, rules: Sequence[CampaignLimits], *, default_zone: str | None = None) -> None:
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
        self._openings: dict[tuple[str, datetime], datetime | None] = {}

    def opens_at(self, attributes: Mapping[str, Any], now: datetime) -> datetime | None:
        """When the recipient may be written to; None: now.

        Args:
            now: An aware instant.
        """
        zone = zone_of(attributes) or self._default_zone
        minute = now.astimezone(UTC).replace(second=0, microsecond=0)
        key = (zone, minute)
        if key not in self._openings:
            if len(self._openings) > 1000:  # noqa: PLR2004 - a day of minutes in every zone is not worth keeping
                self._openings.clear()
            self._openings[key] = self._opening(ZoneInfo(zone), minute)
        return self._openings[key]

    def _opening(self, zone: ZoneInfo, minute: datetime) -> datetime | None:
        """The first open minute from `minute` on; None when that is `minute` itself.

        Walks real minutes and asks each what the clock on the wall says, so that hours which a change of clocks skips
        or repeats need no rule of their own. An hour's end is looked at first: most of a closed night is passed in
        large steps.
        """
        if self._is_open(minute.astimezone(zone)):
            return None
        instant = minute
        for _ in range(_WEEK + _DAY):
            local = instant.astimezone(zone)
            position = local.weekday() * _DAY + local.hour * 60 + local.minute
            ahead = (self._open + self._open).find(1, position)
            # No further than the next full hour: there the clock on the wall may jump.
            step = max(1, min(ahead - position, 60 - local.minute))
            instant += timedelta(minutes=step)
            if self._is_open(instant.astimezone(zone)):
                return instant
        return minute + timedelta(days=7)  # the open minutes of this week were skipped by a change of clocks

    def _is_open(self, local: datetime) -> bool:
        return bool(self._open[local.weekday() * _DAY + local.hour * 60 + local.minute])


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
