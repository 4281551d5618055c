"""Permits to send, leased from Redis for all workers together (engine.limits.redis_buckets).

Promises:
- One lease takes from every bucket that applies (channel, campaign, organization, mail domains) in one Lua call, or
  from none of them.
- A bucket's leases follow each other without overlap, so any second holds at most its rate and one lease: a tenth of a
  second's worth (at least 1, at most `MOST`).
- A lease may begin up to `HORIZON` in the future: its worker waits until then. So workers queue for a limit in
  the order in which they ask, and none of the rate is lost between two of them.
- When Redis was emptied, buckets begin empty: nothing is leased for one `HORIZON`, by when all earlier leases are used.
- When Redis is away nothing is leased (`BucketsAway`): what is limited waits.

The embedded form runs the same script on the Redis inside the process.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from config.errors import MusterError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

__all__ = ["HORIZON", "MOST", "Bucket", "Buckets", "BucketsAway", "Denied", "Grant", "Wish"]

#: How far in the future a lease may begin, in seconds: the longest that a thread waits for one.
HORIZON = 1.0
#: Permits a lease at most: a wave.
MOST = 100
#: A lease's length in seconds, where the rate allows for whole permits.
_LENGTH = 0.1
#: From so many messages a second on, a fiftieth of the rate is kept back for what is late on the wire.
_BRISK, _MARGIN = 10.0, 0.98
#: A bucket slower than one message a horizon may make up for being late by so many seconds, and one message at most:
#: nobody is there at the very moment.
_LATE = 60.0


class BucketsAway(MusterError):
    """Redis does not answer, so nobody knows what may be sent."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """One limit."""

    key: str
    """Which; `channel:ID`, `domain:ID:gmail.com`."""
    rate: float
    """Messages a second."""
    burst: int = 0
    """Messages beyond the even spread after a pause."""
    text: str = field(default="", compare=False)
    """For people: `200 a second on channel Newsletter`."""

    @property
    def lease(self) -> int:
        """Permits of one lease."""
        return max(1, min(math.ceil(self.rate * _LENGTH), MOST))

    @property
    def spacing(self) -> float:
        """Permits a millisecond."""
        return self.rate * (_MARGIN if self.rate >= _BRISK else 1.0) / 1000

    @property
    def credit(self) -> float:
        """Milliseconds of a pause that may be made up for."""
        late = min(1 / self.spacing, _LATE * 1000) if self.rate * HORIZON < 1 else 0.0
        return max(self.burst / self.spacing, late)


class Wish(NamedTuple):
    """Messages to one mail domain that has a bucket."""

    bucket: Bucket
    messages: int


@dataclass(frozen=True, slots=True)
class Grant:
    """Permits."""

    permits: int
    wait: float
    """Seconds until they may be used."""
    unlimited: int
    """Of them: for messages to domains without a bucket."""
    domains: tuple[int, ...]
    """Of them: for each wish, in order."""


@dataclass(frozen=True, slots=True)
class Denied:
    """Nothing for now."""

    wait: float
    """Seconds until asking again is worth it."""
    bucket: Bucket
    """The one that is empty."""


class Buckets(Protocol):
    """Where permits come from."""

    def take(
        self,
        org_id: UUID,
        general: Sequence[Bucket],
        wishes: Sequence[Wish] = (),
        *,
        unlimited: int,
        most: int = MOST,
        spare: int = 0,
        patient: bool = False,
    ) -> Grant | Denied:
        """Lease permits for messages that all of `general` apply to.

        Args:
            wishes: How many of the messages go to which mail domain with a bucket.
            unlimited: How many go to domains without one.
            most: Permits at most, however large the lease.
            spare: Permits of `general` left from the last lease and still good.
            patient: Wait for a domain when nothing else is wanted; else be denied.

        Raises:
            BucketsAway: Redis does not answer. Nothing may be sent.
        """
        ...

    def queue_up(self, org_id: UUID, wishes: Sequence[Wish]) -> float:
        """Take a place behind everybody else who waits for these mail domains; seconds until the first of them has its
        turn. A place is an estimate, not a permit: nobody who comes later is kept from asking.

        Raises:
            BucketsAway: Redis does not answer.
        """
        ...

    def begin_empty(self, org_id: UUID, bucket: Bucket) -> None:
        """Let nothing be leased from a bucket for one `HORIZON`: what was sent before it was known counts as well.

        Raises:
            BucketsAway: Redis does not answer.
        """
        ...

    def close(self) -> None:
        """Give back connections. Safe to call twice."""
        ...
