"""When a call is made again, and after how long. Values in, values out.

A call is repeated only where that cannot do its work twice: it reads, or it carries an Idempotency-Key, by which the
server recognises the repeat. Waits grow by powers of two with full jitter, so that clients that failed together do
not come back together; a server that says when to come back (`Retry-After`) is not asked earlier.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Retries", "is_busy", "seconds_of"]

_BUSY = frozenset((429, 502, 503, 504))
_CONFLICT = 409


@dataclass(frozen=True, slots=True)
class Retries:
    """How patient a client is."""

    attempts: int = 6
    """At most, the first one included."""
    base: float = 0.5
    """Seconds; the second attempt comes at most so long after the first."""
    longest: float = 30.0
    """Seconds between two attempts at most, unless the server asks for more."""
    within: float = 120.0
    """Seconds from the first attempt on in which another one may begin."""

    def wait(
        self, attempt: int, elapsed: float, retry_after: float | None, random: Callable[[], float]
    ) -> float | None:
        """Seconds until the next attempt; None: give up.

        Args:
            attempt: How many have been made.
            elapsed: Seconds since the first began.
            retry_after: Seconds that the server asked for.
            random: Gives numbers from 0 to 1.
        """
        if attempt >= self.attempts:
            return None
        wait = random() * min(self.longest, self.base * 2 ** (attempt - 1))
        if retry_after is not None:
            wait += retry_after
        return None if elapsed + wait > self.within else wait


def is_busy(status: int, body: bytes, attempt: int) -> bool:
    """Whether the same call may succeed later: the server is busy or away, or still at work on an earlier attempt."""
    if status in _BUSY:
        return True
    return (
        status == _CONFLICT and attempt > 1 and b"Idempotency-Key" in body and b"another request" not in body
    )


def seconds_of(retry_after: str | None, now: Callable[[], float]) -> float | None:
    """`Retry-After`, which is seconds or a date; None where it is neither."""
    if retry_after is None:
        return None
    try:
        return max(0.0, float(int(retry_after)))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - now())
    except ValueError:
        return None
