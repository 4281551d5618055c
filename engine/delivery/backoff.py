"""When to try again. Values in, values out."""

from __future__ import annotations

from datetime import timedelta

__all__ = ["breaker_delay", "quota_delay", "retry_delay", "spread_delay"]

#: A recipient never waits longer than this for its next attempt.
LONGEST_RETRY = timedelta(hours=6)
#: A channel whose provider is down is tried again at least this often.
LONGEST_BREAK = timedelta(minutes=5)
#: A channel whose quota is spent is tried again at least this often.
LONGEST_QUOTA = timedelta(hours=1)
_FIRST_BREAK = timedelta(seconds=1)
_FIRST_QUOTA = timedelta(minutes=5)


def retry_delay(attempt: int, *, base: timedelta, jitter: float) -> timedelta:
    """How long to wait after failed attempt number `attempt` (1, 2, …): base × 2^(attempt-1), ± 20 %.

    Args:
        jitter: A random number in [0, 1), so that what failed together does not come back together.
    """
    doubled = base * (1 << min(attempt - 1, 30))
    return min(doubled, LONGEST_RETRY) * (0.8 + 0.4 * jitter)


def spread_delay(attempt: int, attempts: int, span: timedelta, *, jitter: float) -> timedelta:
    """How long to wait after failed attempt number `attempt` of `attempts`, so that all waits together cover
    `span`: each twice the one before.
    """
    shares = (1 << max(attempts - 1, 1)) - 1
    share = (1 << min(attempt - 1, 30)) / shares
    return min(span * share, LONGEST_RETRY) * (1.0 + 0.4 * jitter)


def quota_delay(failures: int, first: timedelta | None, *, jitter: float) -> timedelta:
    """How long a channel waits whose quota is spent, before a few messages try: twice as long each time, up to an hour.

    Args:
        failures: Times in a row (1, 2, …).
        first: The wait after the first; None: five minutes.
    """
    doubled = (first or _FIRST_QUOTA) * (1 << min(failures - 1, 30))
    return min(doubled, max(LONGEST_QUOTA, first or LONGEST_QUOTA)) * (0.9 + 0.2 * jitter)


def breaker_delay(failures: int, *, jitter: float) -> timedelta:
    """How long a channel stays closed after `failures` (1, 2, …) times in a row that its provider was down."""
    doubled = _FIRST_BREAK * (1 << min(failures - 1, 30))
    return min(doubled, LONGEST_BREAK) * (0.8 + 0.4 * jitter)
