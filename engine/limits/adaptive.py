"""Following what a provider asks for: less at once when it says so, and more again with time. Values in, values out.

- Asked to slow down: nothing until the time it named, or a back-off that doubles with each time in a row; then half of
  what was allowed before (multiplicative decrease).
- Left alone: the rate grows steadily (additive increase), and after a while nothing is held back any more. It grows
  with time, so that recovery needs no message, no write, and nobody's attention.
- A channel finds its rate: it falls to a part of the rate at which it was refused, comes back quickly to just below
  that, stays there for a while, and then tries more and more (as CUBIC does, RFC 9438 §4). It tries more only while it
  is used: a time in which nothing was sent tells nothing of what would have been taken (as RFC 7661 has it).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from uuid import UUID

__all__ = [
    "FOUND_KEPT",
    "LONGEST_PAUSE",
    "RECOVERY",
    "FoundRate",
    "Slowdown",
    "UseClock",
    "find_rate",
    "pause",
    "slow_down",
]

#: How long it takes to be back at what was configured, and to be forgotten where nothing was.
RECOVERY = timedelta(minutes=10)
LONGEST_PAUSE = timedelta(minutes=15)
_FIRST_PAUSE = timedelta(seconds=10)
#: How long a rate that a channel found is kept after its provider last asked for less.
FOUND_KEPT = timedelta(hours=1)
#: A channel falls to this part of the rate at which it was refused, and comes back to just below that rate; less where
#: it is refused again at once, because the rate was far off.
_DECREASE, _RETURN = 0.85, 0.97
_STRONG_DECREASE, _STRONG_RETURN = 0.6, 0.9
#: What the provider took until it first refused is not known as well as a rate that was kept to.
_FIRST_RETURN = 0.95
#: Seconds in which it comes back, and at least so many messages long.
_COMES_BACK, _IN_MESSAGES = 8.0, 6.0
#: From there on it grows with the square of the time, to twice the rate after so many seconds: it stays for a while
#: just below what was refused before it tries more.
_DOUBLES = 25.0
#: Seconds between two permits that count as use at most.
_USED_FOR = 1.0
_SLOWEST_CHANNEL = 1 / 60
#: A provider is tried at least so often, in messages a second.
_SLOWEST = 0.2
#: Where nothing was configured: what the first slowdown leaves at least, and what is added a second.
_BEGIN = 10.0
_STEP = 1.0


@dataclass(frozen=True, slots=True)
class Slowdown:
    """A rate that was reduced at one time."""

    rate: float
    """Messages a second at `since`."""
    since: datetime
    found: bool = False
    """It is a rate that a channel has found, and kept for `FOUND_KEPT`."""
    returns_to: float | None = None
    """Of a rate that was found: what it comes back to soon; absent: to itself."""
    resumes_at: datetime | None = None
    """Nothing is sent, and the rate does not grow, before then."""

    @property
    def known(self) -> float:
        """Messages a second that the provider is known to take."""
        return self.rate if self.returns_to is None else max(self.rate, self.returns_to)

    @property
    def until(self) -> datetime:
        """When it is forgotten, unless it is found anew."""
        return self.since + (FOUND_KEPT if self.found else RECOVERY)

    def rate_at(self, now: datetime, *, ceiling: float | None, used: float | None = None) -> float | None:
        """Messages a second now; None when nothing is held back any more.

        Args:
            ceiling: What is configured; None: nothing.
            used: Seconds for which it was used; None: all the time.
        """
        if now >= self.until:
            return None
        grows_from = self.since if self.resumes_at is None else max(self.since, self.resumes_at)
        passed = max((now - grows_from).total_seconds(), 0.0)
        if self.found:
            rate = self._found_after(passed if used is None else min(passed, used))
        else:
            rate = self.rate + passed * (_STEP if ceiling is None else ceiling / RECOVERY.total_seconds())
        return None if ceiling is not None and rate >= ceiling else rate

    def _found_after(self, seconds: float) -> float:
        seconds *= _pace_of_time(self.rate)
        base = self.rate
        if self.returns_to is not None and self.returns_to > base:
            if seconds < _COMES_BACK:
                return base + (self.returns_to - base) * (1 - (1 - seconds / _COMES_BACK) ** 3)
            seconds -= _COMES_BACK
            base = self.returns_to
        return base * (1 + (seconds / _DOUBLES) ** 2)


class UseClock:
    """For how long one process has used the rates that channels found: they grow while they are used.

    Args:
        steady: Seconds, by a clock that never jumps.
    """

    def __init__(self, steady: Callable[[], float]) -> None:
        self._steady = steady
        self._lock = Lock()
        self._used: dict[UUID, tuple[datetime, float, float]] = {}
        """By channel: since when it has its rate, seconds of use, and when that was."""

    def use(self, channel_id: UUID, slowdown: Slowdown, now: datetime) -> float:
        """Seconds of use until now, when it is used again. Who has not used it yet begins where it has come back."""
        steady, pace = self._steady(), _pace_of_time(slowdown.rate)
        with self._lock:
            since, seconds, last = self._used.get(channel_id, (None, 0.0, steady))
            if since == slowdown.since:
                seconds += min(steady - last, _USED_FOR / pace)
            else:
                seconds = min((now - slowdown.since).total_seconds(), _COMES_BACK / pace)
            self._used[channel_id] = (slowdown.since, seconds, steady)
        return seconds


def _pace_of_time(rate: float) -> float:
    """What a second counts: slow rates take their time."""
    return min(1.0, rate * _COMES_BACK / _IN_MESSAGES)


class FoundRate(NamedTuple):
    """What a channel goes on with that was too fast."""

    rate: float
    """Messages a second."""
    returns_to: float
    """What it soon comes back to."""


def slow_down(allowed: float | None, observed: float) -> float:
    """The rate after a slowdown.

    Args:
        allowed: What was allowed until now; None: anything.
        observed: What one slice sent by itself, in messages a second; other slices sent beside it.
    """
    if allowed is None:
        return max(observed / 2, _BEGIN)
    return max(allowed / 2, _SLOWEST)


def find_rate(allowed: float | None, observed: float, *, again: bool, shared: bool = False) -> FoundRate:
    """The rate of a channel whose provider says that it is too fast.

    Args:
        allowed: What was allowed until now; None: anything.
        observed: Messages a second that were taken, of all slices.
        again: It says so again at once: the rate is far off.
        shared: Others send as well, so that what was taken of this process may be next to nothing of it all.
    """
    if allowed is None:
        taken = max(observed, _BEGIN) if shared or observed < 1 else observed
        return FoundRate(taken * _DECREASE, taken * _FIRST_RETURN)
    if again:
        return FoundRate(max(allowed * _STRONG_DECREASE, _SLOWEST_CHANNEL), allowed * _STRONG_RETURN)
    return FoundRate(max(allowed * _DECREASE, _SLOWEST_CHANNEL), allowed * _RETURN)


def pause(retry_after: float | None, *, last: timedelta | None = None) -> timedelta:
    """How long nothing is sent. What the provider names is honoured.

    Args:
        retry_after: Seconds, if it named any.
        last: The pause before this one, when there was no recovery between them.
    """
    if retry_after is not None:
        return timedelta(seconds=max(retry_after, 0.0))
    return _FIRST_PAUSE if last is None else max(_FIRST_PAUSE, min(2 * last, LONGEST_PAUSE))
