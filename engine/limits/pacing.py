"""The pace of one slice under limits: who of it may be sent to now, and when what is claimed may leave.

Permits are leased before a wave is claimed, so that nobody is claimed without one, and a wave is as large as its
lease. A lease that begins a moment from now is waited for: first until shortly before (`prepare`), then, with the wave
claimed, to the point (`depart`). A wave that comes too late for its lease leases again: what it delayed must not add
up with what follows.

Recipients whose mail domain may not be written to now are set aside, and the others go first.
"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from engine.limits.buckets import HORIZON, BucketsAway, Denied, Grant, Wish

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from threading import Event

    from engine.limits.adaptive import Slowdown, UseClock
    from engine.limits.buckets import Buckets
    from engine.limits.effective import EffectiveLimits
    from state.database import Clock

__all__ = ["Allowance", "Pacing", "Selection", "Wait", "rest"]

T = TypeVar("T")

#: Mail domains that one lease asks for at most.
_DOMAINS = 64
#: A lease is good for as long as it lasts, and at least this long, in seconds.
_GOOD = 0.1
#: How long before a lease begins its wave is claimed, at first, in seconds; then it follows what claiming takes.
_LEAD = 0.02
_SMOOTH = 0.2
#: How long a job waits when permits cannot be had because Redis is away.
_AWAY = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Wait:
    """Why nothing of a slice may be sent, and until when."""

    kind: str
    """limit or throttled."""
    until: datetime
    text: str
    everybody: bool = False
    """It concerns the whole job, not just what is left of the slice."""


@dataclass(frozen=True, slots=True)
class Selection(Generic[T]):
    """Whom permits were leased for."""

    chosen: list[T]
    rest: list[T]


class Allowance(NamedTuple):
    """What permits were leased by."""

    rate: float | None = None
    """Messages a second, of the general limits; None: any."""
    slowdown: Slowdown | None = None
    """What was known of the rate that the channel's provider takes."""


def rest(seconds: float, stopping: Event) -> None:
    """Let time pass; none when `seconds` is not positive."""
    if seconds > 0:
        stopping.wait(seconds)


class Pacing:
    """One slice's.

    Args:
        steady: Seconds, by a clock that never jumps.
        rest: Lets that many seconds pass, or fewer once the process is stopped.
    """

    def __init__(
        self,
        effective: EffectiveLimits,
        buckets: Buckets,
        clock: Clock,
        use_clock: UseClock,
        *,
        steady: Callable[[], float] = time.monotonic,
        rest: Callable[[float, Event], object] = rest,
    ) -> None:
        self.effective = effective
        self.allowance = Allowance()
        """What the current permits were leased by."""
        self.patient = False
        """Whether this thread may wait for a mail domain when nothing else is left to send."""
        self._buckets = buckets
        self._clock = clock
        self._use_clock = use_clock
        self._steady = steady
        self._rest = rest
        self._spare = 0
        self._begins = 0.0
        self._lasts = _GOOD
        self._lead = _LEAD
        self._woke = 0.0

    def choose(
        self, queue: Sequence[T], domain_of: Callable[[T], str | None], *, size: int
    ) -> Selection[T] | Wait:
        """Lease permits for as many of `queue` as may leave next, in its order; or say why none may."""
        try:
            if self.effective.by_domain:
                return self._choose_by_domain(queue, domain_of, size)
            taken = self._take((), len(queue), size)
        except BucketsAway as error:
            return self._away(error)
        if isinstance(taken, Denied):
            return self._wait(taken, everybody=True)
        return Selection(list(queue[: taken.permits]), list(queue[taken.permits :]))

    def _choose_by_domain(
        self, queue: Sequence[T], domain_of: Callable[[T], str | None], size: int
    ) -> Selection[T] | Wait:
        now = self._clock.now()
        domains = [domain_of(one) for one in queue]
        counts = Counter(domains)
        blocked = {
            domain: throttle
            for domain in counts
            if domain is not None and (throttle := self.effective.blocked(domain, now)) is not None
        }
        wishes = {
            domain: Wish(bucket, count)
            for domain, count in counts.items()
            if domain is not None
            and domain not in blocked
            and (bucket := self.effective.domain(domain, now)) is not None
        }
        unlimited = sum(
            count for domain, count in counts.items() if domain not in wishes and domain not in blocked
        )
        waits = [
            Wait("throttled", throttle.until, f"{domain}: {throttle.reason}")
            for domain, throttle in blocked.items()
        ]
        if not wishes and not unlimited:
            return min(waits, key=lambda wait: wait.until)
        asked = dict(islice(wishes.items(), _DOMAINS))
        taken = self._take(list(asked.values()), unlimited, size)
        if isinstance(taken, Denied):
            of_domain = any(wish.bucket is taken.bucket for wish in asked.values())
            denied = self._wait(taken, everybody=not of_domain)
            return min([denied, *waits], key=lambda wait: wait.until) if of_domain else denied
        left = dict.fromkeys(wishes, 0) | dict.fromkeys(blocked, 0)
        left.update(zip(asked, taken.domains, strict=True))
        free = taken.unlimited
        chosen: list[T] = []
        left_over: list[T] = []
        for one, domain in zip(queue, domains, strict=True):
            if domain is not None and domain in left:
                allowed = left[domain] > 0
                left[domain] -= allowed
            else:
                allowed = free > 0
                free -= allowed
            (chosen if allowed else left_over).append(one)
        return Selection(chosen, left_over)

    def _take(self, wishes: Sequence[Wish], unlimited: int, most: int) -> Grant | Denied:
        now = self._clock.now()
        general = self.effective.general(now, self._use_clock)
        slowest = min((bucket.rate for bucket in general), default=None)
        self.allowance = Allowance(slowest, self.effective.slowdown)
        if not general and not wishes:  # what was limited has recovered meanwhile
            self._begins = self._steady()
            return Grant(min(unlimited, most), 0.0, min(unlimited, most), ())
        if self._spare and self._late() > 0:
            self._spare = 0
        taken = self._buckets.take(
            self.effective.org_id,
            general,
            wishes,
            unlimited=unlimited,
            most=most,
            spare=self._spare,
            patient=self.patient,
        )
        if isinstance(taken, Grant):
            self._spare = max(0, self._spare - taken.permits)
            self._begins = self._steady() + taken.wait
            self._lasts = max(_GOOD, taken.permits / slowest) if slowest else _GOOD
        return taken

    def _late(self) -> float:
        """Seconds since the lease ran out; negative while it is good."""
        return self._steady() - self._begins - self._lasts

    def _wait(self, denied: Denied, *, everybody: bool) -> Wait:
        until = self._clock.now() + timedelta(seconds=denied.wait)
        return Wait("limit", until, denied.bucket.text, everybody)

    def _away(self, error: BucketsAway) -> Wait:
        return Wait("limit", self._clock.now() + _AWAY, f"limits cannot be checked: {error}", everybody=True)

    @property
    def delay(self) -> float:
        """Seconds until it is time to claim the wave; not positive: it is."""
        return self._begins - self._lead - self._steady()

    def prepare(self, stopping: Event) -> None:
        """Wait until it is time to claim the wave."""
        self._rest(self.delay, stopping)
        self._woke = self._steady()

    def depart(self, messages: int, domains: dict[str, int], stopping: Event) -> Wait | None:
        """Wait for the moment at which a claimed wave may leave. A Wait: it may not, and nothing of it was sent.

        Args:
            messages: How many of the wave there are to send; other permits stay for the next wave.
            domains: How many of them go to which mail domain.
        """
        now = self._steady()
        self._lead += _SMOOTH * (min(now - self._woke, HORIZON / 2) - self._lead)
        if self._late() > 0:
            again = self._lease_again(messages, domains)
            if again is not None:
                return again
        self._rest(self._begins - self._steady(), stopping)
        return None

    def leave_over(self, permits: int) -> None:
        """Keep permits of the current lease that nobody used, for the next wave."""
        self._spare += permits

    def begin_empty(self) -> None:
        """Let the channel's bucket, whose rate has just been found, begin empty."""
        for bucket in self.effective.general(self._clock.now()):
            with suppress(BucketsAway):  # then nothing is leased anyway
                self._buckets.begin_empty(self.effective.org_id, bucket)

    def queue_up(self, domains: Mapping[str, int], wait: Wait) -> Wait:
        """A later wait than `wait`: when the messages that are left, by mail domain, have had those before them.

        Slices that wait for one domain would else all come back at once, each for the one permit there is.
        """
        now = self._clock.now()
        wishes = [
            Wish(bucket, count)
            for domain, count in domains.items()
            if self.effective.blocked(domain, now) is None
            and (bucket := self.effective.domain(domain, now)) is not None
        ]
        if not wishes:
            return wait
        try:
            turn = self._buckets.queue_up(self.effective.org_id, wishes)
        except BucketsAway as error:
            return self._away(error)
        return replace(wait, until=max(wait.until, now + timedelta(seconds=turn)))

    def _lease_again(self, messages: int, domains: dict[str, int]) -> Wait | None:
        self._spare = 0
        now = self._clock.now()
        wishes = [
            Wish(bucket, count)
            for domain, count in domains.items()
            if (bucket := self.effective.domain(domain, now)) is not None
        ]
        try:
            taken = self._take(wishes, messages - sum(wish.messages for wish in wishes), messages)
        except BucketsAway as error:
            return self._away(error)
        if isinstance(taken, Denied):
            return self._wait(taken, everybody=not any(wish.bucket is taken.bucket for wish in wishes))
        if taken.permits < messages:
            return Wait("limit", now, "the wave came too late for its permits")
        return None
