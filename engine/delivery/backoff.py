"""When to try again. Values in, values out."""

from __future__ import annotations

from datetime import timedelta

__all__ = ["breaker_delay", "retry_delay"]

#: A recipient never waits longer than this for its next attempt.
LONGEST_RETRY = timedelta(hours=6)
#: A channel whose provider is down is tried again at least this often.
LONGEST_BREAK = timedelta(minutes=5)
_FIRST_BREAK = timedelta(seconds=1)


def retry_delay(attempt: int, *, base: timedelta, jitter: float) -> timedelta:
    """How long to wait after failed attempt number `attempt` (1, 2, …): base × 2^(attempt-1), ± 20 %.

    Args:
        jitter: A random number in [0, 1), so that what failed together does not come back together.
    """
    doubled = base * (1 << min(attempt - 1, 30))
    return min(doubled, LONGEST_RETRY) * (0.8 + 0.4 * jitter)


def breaker_delay(failures: int, *, jitter: float) -> timedelta:
    """How long a channel stays closed after `failures` (1, 2, …) times in a row that its provider was down."""
    doubled = _FIRST_BREAK * (1 << min(failures - 1, 30))
    return min(doubled, LONGEST_BREAK) * (0.8 + 0.4 * jitter)
