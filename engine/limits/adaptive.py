"""Following what a provider asks for: less at once when it says so, and more again with time. Values in, values out.

- Asked to slow down: nothing until the time it named, or a back-off that doubles with each time in a row; then half of
  what was allowed before (multiplicative decrease).
- Left alone: the rate grows steadily (additive increase), and after a while nothing is held back any more. It grows
  with time, so that recovery needs no message, no write, and nobody's attention.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["FOUND_KEPT", "LONGEST_PAUSE", "RECOVERY", "Slowdown", "find_rate", "pause", "slow_down"]

#: How long it takes to be back at what was configured, and to be forgotten where nothing was.
RECOVERY = timedelta(minutes=10)
LONGEST_PAUSE = timedelta(minutes=15)
_FIRST_PAUSE = timedelta(seconds=10)
#: How long a rate that a channel found is kept after its provider last asked for less.
FOUND_KEPT = timedelta(hours=1)
#: A rate that was found grows slowly at first and then faster: by itself in so many seconds, without the square. It
#: falls to these parts of it.
_GROWTH, _DECREASE, _STRONG_DECREASE = 60.0, 0.85, 0.6
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
    """It is a rate that a channel has found: it grows in proportion to itself, and is kept for `FOUND_KEPT`."""

    @property
    def until(self) -> datetime:
        """When it is forgotten, unless it is found anew."""
        return self.since + (FOUND_KEPT if self.found else RECOVERY)

    def rate_at(self, now: datetime, *, ceiling: float | None) -> float | None:
        """Messages a second now; None when nothing is held back any more.

        Args:
            ceiling: What is configured; None: nothing.
        """
        passed = max((now - self.since).total_seconds(), 0.0)
        if now >= self.until:
            return None
        if self.found:
            found = self.rate * (1 + passed / _GROWTH + (2 * passed / _GROWTH) ** 2)
            return None if ceiling is not None and found >= ceiling else found
        step = _STEP if ceiling is None else ceiling / RECOVERY.total_seconds()
        rate = self.rate + step * passed
        return None if ceiling is not None and rate >= ceiling else rate


def slow_down(allowed: float | None, observed: float) -> float:
    """The rate after a slowdown.

    Args:
        allowed: What was allowed until now; None: anything.
        observed: What one slice sent by itself, in messages a second; other slices sent beside it.
    """
    if allowed is None:
        return max(observed / 2, _BEGIN)
    return max(allowed / 2, _SLOWEST)


def find_rate(allowed: float | None, observed: float, *, again: bool) -> float:
    """The rate of a channel whose provider says that it is too fast.

    Args:
        allowed: What was allowed until now; None: anything.
        observed: Messages a second that were taken, of all slices.
        again: It says so again at once: the rate is far off.
    """
    if allowed is None:
        return max(observed, 1.0) * _DECREASE
    return max(allowed * (_STRONG_DECREASE if again else _DECREASE), _SLOWEST_CHANNEL)


def pause(retry_after: float | None, *, last: timedelta | None = None) -> timedelta:
    """How long nothing is sent. What the provider names is honoured.

    Args:
        retry_after: Seconds, if it named any.
        last: The pause before this one, when there was no recovery between them.
    """
    if retry_after is not None:
        return timedelta(seconds=max(retry_after, 0.0))
    return _FIRST_PAUSE if last is None else max(_FIRST_PAUSE, min(2 * last, LONGEST_PAUSE))
