"""What limits mean for the run of one slice, channel by channel. A slice that nothing limits has none of this.

- Waves are as large as the permits that were leased for them, and leave when those begin (engine.limits.pacing).
- A recipient in quiet hours or over a frequency cap is claimed and put back (or excluded), which costs no attempt, no
  permit, and leaves the reason on the recipient.
- When nothing may be sent for a while, the run ends: the thread is free for others, the slice or its job waits.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

from engine.delivery.outcomes import OUTCOME_UNKNOWN, Settlement
from engine.limits import caps, warm_up
from engine.limits.pacing import Pacing, Wait
from state.transitions import AutomationStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime
    from threading import Event
    from typing import Any
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.content.message import Message
    from engine.delivery.slices import Lease
    from engine.delivery.work_plan import PendingRecipient
    from engine.limits.context import LimitContext
    from engine.limits.effective import EffectiveLimits
    from engine.limits.pacing import Allowance
    from state.database import Clock

__all__ = ["SliceThrottle", "domain_of"]

#: How long a slice may keep its thread while another job waits for one, in seconds.
_TURN = 5.0
#: How long a job waits that found no thread free to wait with, in seconds.
_NO_SEAT = timedelta(seconds=1)


class SliceThrottle:
    """One slice's, for one channel."""

    def __init__(
        self,
        limit_context: LimitContext,
        effective: EffectiveLimits,
        lease: Lease,
        clock: Clock,
        address_of: Callable[[Mapping[str, Any]], str | None],
    ) -> None:
        self.effective = effective
        self.wait: Wait | None = None
        """Why the run has to end."""
        self.quiet = False
        """Somebody was put back for quiet hours."""
        self._context = limit_context
        self._lease = lease
        self._clock = clock
        self._address_of = address_of
        self._pacing = Pacing(
            effective,
            limit_context.buckets,
            clock,
            limit_context.use_clock,
            steady=limit_context.steady,
            rest=limit_context.rest,
        )
        self._permits: int | None = None
        """Leased for the wave; None: it needs none."""
        self._domains: dict[UUID, str | None] = {}
        self._contacts: dict[UUID, datetime] = {}
        self._seated = False
        self._patient = False
        self._since = limit_context.steady()

    def learn(self, effective: EffectiveLimits) -> None:
        """Other limits apply from now on."""
        self.effective = self._pacing.effective = effective

    @property
    def allowance(self) -> Allowance:
        """What the wave's permits were leased by."""
        return self._pacing.allowance

    def begin_empty(self) -> None:
        """Let the bucket of a rate that was just found begin empty."""
        self._pacing.begin_empty()

    def next_run_at(self, due_at: datetime | None) -> tuple[datetime | None, str | None]:
        """When the slice is to be taken again, and what keeps it.

        Args:
            due_at: When the first that is left is due; None: nobody is left.
        """
        if due_at is None:
            return None, None
        if self.wait is not None and not self.wait.everybody:
            return max(due_at, self.wait.until), self.wait.kind
        return due_at, "quiet_hours" if self.quiet else None

    def end(self) -> None:
        """Give the slots back. Safe to call twice."""
        if self._seated:
            self._context.slots.leave()
        if self._patient:
            self._context.patience.leave()
        self._seated = self._patient = False

    def next_wave(
        self, queue: list[PendingRecipient], size: int
    ) -> tuple[list[PendingRecipient], list[PendingRecipient]]:
        """Who of `queue` is claimed next, once `prepare` returns, and who is left. Nobody, and `wait` says why: the run
        has to end.
        """
        now = self._clock.now()
        self._permits = None
        if self.effective.hours is not None:
            closed = {due.entity_id for due in queue if self._opens_at(due, now) is not None}
            if closed:  # they are put back, which needs no permits
                wave = [due for due in queue if due.entity_id in closed][:size]
                chosen = {due.entity_id for due in wave}
                return wave, [due for due in queue if due.entity_id not in chosen]
        if not self.effective.paced:
            return queue[:size], queue[size:]
        if not self._sit(now):
            return [], queue
        leased = self._pacing.choose(queue, self._domain_of, size=size)
        if isinstance(leased, Wait) and not leased.everybody and self._be_patient():
            leased = self._pacing.choose(queue, self._domain_of, size=size)
        if isinstance(leased, Wait):
            self.wait = leased if leased.everybody else self._queue_up(queue, leased)
            return [], queue
        self._permits = len(leased.chosen)
        return leased.chosen, leased.rest

    @property
    def delay(self) -> float:
        """Seconds until the next wave is to be claimed; not positive: now."""
        return 0.0 if self._permits is None else self._pacing.delay

    def prepare(self, stopping: Event) -> None:
        """Wait until it is time to claim the next wave."""
        if self._permits is not None:
            self._pacing.prepare(stopping)

    def _sit(self, now: datetime) -> bool:
        """Have a thread that may wait, if it comes to waiting for everybody's permits."""
        steady = self._context.steady()
        if not self.effective.general(now):
            return True
        job_id = self._lease.job_id
        if not self._seated:
            self._seated = self._context.slots.enter(job_id, steady)
            self._since = steady
            if not self._seated:
                self._wait_turn(now)
                return False
        elif steady - self._since > _TURN and self._context.slots.wanted(job_id, steady):
            self._wait_turn(now)
            return False
        return True

    def _wait_turn(self, now: datetime) -> None:
        text = "other jobs under limits have their turn"
        self.wait = Wait("limit", now + _NO_SEAT, text, everybody=True)

    def _be_patient(self) -> bool:
        if self._context.may_be_patient and not self._patient:
            self._patient = self._context.patience.enter(self._lease.job_id, self._context.steady())
            self._pacing.patient = self._patient
            return self._patient
        return False  # it has waited already, or others do

    def _queue_up(self, queue: Sequence[PendingRecipient], wait: Wait) -> Wait:
        """Find out when it is the slice's turn at the mail domains it is left with."""
        domains = Counter(domain for due in queue if (domain := self._domain_of(due)) is not None)
        return self._pacing.queue_up(domains, wait)

    def _domain_of(self, due: PendingRecipient) -> str | None:
        if due.entity_id not in self._domains:
            address = None if due.attributes is None else self._address_of(due.attributes)
            self._domains[due.entity_id] = None if address is None else self._group_of(address)
        return self._domains[due.entity_id]

    def _group_of(self, address: str) -> str | None:
        """The mailbox provider's key or the mail domain of an address; None when it has none."""
        domain = domain_of(address)
        return None if domain is None else self.effective.group_of(domain, self._context.providers)

    def _opens_at(self, due: PendingRecipient, now: datetime) -> datetime | None:
        if self.effective.hours is None or due.attributes is None:
            return None
        return self.effective.hours.opens_at(due.attributes, now)

    def postponed(self, wave: Sequence[PendingRecipient]) -> dict[UUID, Settlement]:
        """Who of a wave is in quiet hours, and how that is recorded."""
        now = self._clock.now()
        found = {}
        for due in wave:
            opens_at = self._opens_at(due, now)
            if opens_at is not None:
                text = f"not before {opens_at:%Y-%m-%d %H:%M} UTC"
                found[due.entity_id] = _put_back(due, "QUIET_HOURS", text, opens_at)
                self.quiet = True
        return found

    def capped(
        self, session: Session, wave: Sequence[PendingRecipient], at: datetime
    ) -> dict[UUID, Settlement]:
        """Who of a wave, claimed in this transaction, is over a frequency cap, and how that is recorded. The others
        are counted.

        Args:
            at: The same for each time the transaction is tried.
        """
        found = self._capped(session, wave, at) if self.effective.caps and wave else {}
        self._warm_up(session, [due for due in wave if due.entity_id not in found], at, found)
        return found

    def _warm_up(
        self, session: Session, wave: Sequence[PendingRecipient], at: datetime, found: dict[UUID, Settlement]
    ) -> None:
        """Put back the recipients beyond what the channel may send today."""
        effective = self.effective
        if effective.warm_up is None or not wave:
            return
        given = warm_up.reserve(
            session, effective.org_id, effective.channel_id, effective.warm_up, len(wave), at
        )
        if given == len(wave):
            return
        until = at if effective.stands_in else warm_up.tomorrow(at)
        text = f"the channel is warmed up: {effective.warm_up.ceiling(at.date()):,} messages today"
        for due in wave[given:]:
            found[due.entity_id] = _put_back(due, "WARM_UP", text, until)
            self._contacts.pop(due.entity_id, None)
        self.wait = Wait(warm_up.BLOCKED_FOR, until, text, everybody=not effective.stands_in)

    def _capped(
        self, session: Session, wave: Sequence[PendingRecipient], at: datetime
    ) -> dict[UUID, Settlement]:
        over = caps.count(
            session, self.effective, [due.entity_id for due in wave if not due.maybe_delivered], at
        )
        found = {}
        for due in wave:
            hit = over.get(due.entity_id)
            if hit is None:
                if not due.maybe_delivered:
                    self._contacts[due.entity_id] = at
            elif hit.delayed_until is not None:
                found[due.entity_id] = _put_back(due, "FREQUENCY_CAP", hit.text, hit.delayed_until)
            else:
                found[due.entity_id] = Settlement(
                    due.entity_id, AutomationStatus.CANCELLED, "FREQUENCY_CAP", hit.text
                )
        return found

    def take_back(self, session: Session, outcomes: Iterable[Settlement]) -> None:
        """Take back the contacts of those who got nothing."""
        if self._contacts:
            lost = {
                item.entity_id: self._contacts[item.entity_id]
                for item in outcomes
                if item.entity_id in self._contacts and item.error_code != OUTCOME_UNKNOWN
            }
            if lost:
                caps.take_back(session, self.effective, lost)

    def depart(self, messages: Sequence[Message], stopping: Event) -> bool:
        """Wait for the moment at which a claimed wave may leave; False: it may not, and nobody of it was sent to."""
        if self._permits is None:
            return True
        self._pacing.leave_over(self._permits - len(messages))
        groups = (self._group_of(message.address) for message in messages)
        domains = Counter(group for group in groups if group is not None)
        self.wait = self._pacing.depart(len(messages), domains, stopping)
        return self.wait is None and not stopping.is_set()


def domain_of(address: str) -> str | None:
    """The mail domain of an address; None when it has none (a telephone number)."""
    return address.rpartition("@")[2] if "@" in address else None


def _put_back(due: PendingRecipient, code: str, text: str, due_at: datetime) -> Settlement:
    """Pending again, at no cost. Doubt about an earlier attempt stays on record."""
    if due.maybe_delivered:
        code, text = OUTCOME_UNKNOWN, f"an earlier attempt may have arrived; {text}"
    return Settlement(due.entity_id, AutomationStatus.PENDING, code, text, due_at, refund=True)
