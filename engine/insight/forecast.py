"""How some messages leave, and when the last of them does, under rates and hours. Values in, values out.

Messages leave one after another, evenly, as fast as the slowest rate allows, and only while it is an open hour where
their recipients are. Time passes from one change to the next (an hour that opens or closes, a rate that ends), so a
year of one message a day costs a few hundred steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from engine.limits.hours import Hours

__all__ = ["Ceiling", "Departures", "departures", "last_leaves_at"]

#: Changes that are looked at, at most: some three years of nightly quiet hours in two dozen zones.
_STEPS = 50_000
#: Nobody plans further ahead.
_HORIZON = timedelta(days=3660)


@dataclass(frozen=True, slots=True)
class Ceiling:
    """A rate that is not exceeded."""

    rate: float
    """Messages a second, above 0."""
    until: datetime | None = None
    """When it ends; absent: it stays."""


class Departures(NamedTuple):
    """Messages that leave one after another at one rate."""

    begin: datetime
    """When the first of them may."""
    end: datetime
    """When the first behind them may."""
    messages: float


def last_leaves_at(
    begin: datetime,
    messages: Mapping[str, float],
    *,
    pace: float,
    ceilings: Sequence[Ceiling] = (),
    hours: Hours | None = None,
) -> datetime | None:
    """When the last of `messages` leaves; None beyond ten years. Arguments as those of `departures`."""
    if not any(count > 0 for count in messages.values()):
        return begin
    last = None
    for last in departures(begin, messages, pace=pace, ceilings=ceilings, hours=hours):
        if last is None:
            return None
    return None if last is None else last.end - (last.end - last.begin) / last.messages


def departures(
    begin: datetime,
    messages: Mapping[str, float],
    *,
    pace: float,
    ceilings: Sequence[Ceiling] = (),
    hours: Hours | None = None,
) -> Iterator[Departures | None]:
    """How `messages` leave, from one change to the next; ends with None where that takes more than ten years.

    Args:
        begin: When the first may leave, as far as rates go.
        messages: How many by their recipients' time zone (IANA).
        pace: Messages a second where nothing limits them, above 0.
        hours: None: any hour.
    """
    left = {zone: float(count) for zone, count in messages.items() if count > 0}
    total = sum(left.values())
    if not total:
        return
    rate = _rate(begin, pace, ceilings)
    # A limit's first permit is there at once; who is only as fast as they are needs the time of the first message.
    slot = begin + timedelta(seconds=1 / pace) if rate >= pace else begin
    for _ in range(_STEPS):
        ready, change = _ready(left, slot, hours)
        if not ready:
            if change is None or change - begin > _HORIZON:
                break
            slot = change
            continue
        rate = _rate(slot, pace, ceilings)
        bounds = [ceiling.until for ceiling in ceilings if ceiling.until is not None and ceiling.until > slot]
        end = min((bound for bound in (change, *bounds) if bound is not None), default=None)
        there = sum(left[zone] for zone in ready)
        sent = (
            there
            if end is None
            else min(there, max(1, math.ceil((end - slot).total_seconds() * rate - 1e-6)))
        )
        if sent / rate > _HORIZON.total_seconds():
            break
        for zone in ready:
            left[zone] -= sent * left[zone] / there
        left = {zone: count for zone, count in left.items() if count > total * 1e-9}
        yield Departures(slot, slot := slot + timedelta(seconds=sent / rate), sent)
        if not left:
            return
    yield None


def _rate(instant: datetime, pace: float, ceilings: Sequence[Ceiling]) -> float:
    return (
        min(pace, *(ceiling.rate for ceiling in ceilings if ceiling.until is None or instant < ceiling.until))
        if ceilings
        else pace
    )


def _ready(
    left: Mapping[str, float], instant: datetime, hours: Hours | None
) -> tuple[list[str], datetime | None]:
    """The zones that may be written to at `instant`, and when the next of all of them changes."""
    if hours is None:
        return list(left), None
    ready, changes = [], []
    for zone in left:
        opens = hours.opens_in(zone, instant)
        if opens is None:
            ready.append(zone)
            closes = hours.closes_in(zone, instant)
            if closes is not None:
                changes.append(closes)
        else:
            changes.append(opens)
    return ready, min(changes, default=None)
