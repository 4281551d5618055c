"""Deliver one slice: lease it, then wave by wave claim, render, send and settle, and close it.

Promises (design.md §4.3-4.5):
- `in_progress` is committed before the first byte of a wave leaves; a wave is at most 100 recipients, so that is the
  most a crash leaves in doubt per slice.
- Settling one wave and claiming the next is one transaction; outcomes that take longer are flushed every 100 ms.
- Pause, cancel and shutdown are seen between sends: nothing new is started, what is on the wire is settled, what was
  not started is pending again.
- While the database is away nothing is claimed and nothing is forgotten: outcomes are kept and written as soon as it
  is back, unless somebody else got the lease meanwhile.
"""

from __future__ import annotations

import os
import random
import socket
import time
from collections import Counter, deque
from datetime import timedelta
from threading import Event
from typing import TYPE_CHECKING, TypeVar

import structlog
from sqlalchemy.exc import DBAPIError

from engine.audience.suppression import suppressed
from engine.channels.port import Delivered, Doubtful, Down, Message, Outcome, Throttled
from engine.content.links import Invitation
from engine.content.templates import RenderError
from engine.delivery import health, slices, waves
from engine.delivery.outcomes import Settlement, decide
from engine.delivery.sender import SenderUnavailable
from engine.delivery.slices import LeaseLost
from engine.delivery.waves import Unsettled
from engine.triggers import reach
from state.database import is_connection_loss
from state.transitions import AutomationStatus, JobStatus

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.delivery.sender import Sender, Senders, SendLoop
    from engine.delivery.slices import JobState, Lease, Tally
    from engine.delivery.waves import Due
    from engine.runtime import Runtime

__all__ = ["Executor"]

log = structlog.get_logger(__name__)

T = TypeVar("T")

#: How often a wave that is on the wire looks whether its job was paused or cancelled, in seconds.
_LOOK = 0.25
#: How long outcomes are kept while the database is away before the lease is given up, in seconds.
_KEEP = 600.0
#: How long a sender that cannot be had is left alone.
_UNAVAILABLE = timedelta(seconds=30)


class Executor:
    """Executes slices; one per worker process, used by all its threads."""

    def __init__(self, runtime: Runtime, senders: Senders, loop: SendLoop) -> None:
        self.runtime = runtime
        self.senders = senders
        self.loop = loop
        self.stopping = Event()
        self.owner = f"{socket.gethostname()}:{os.getpid()}"

    def execute(self, org_id: UUID, job_id: UUID, number: int) -> None:
        """Deliver what is due of a slice. A slice that is not ready (a repeated wake-up) is left alone.

        Raises:
            sqlalchemy.exc.OperationalError: the database is away, before anything was claimed.
        """
        if self.stopping.is_set():
            return
        with self.runtime.transaction() as session:
            lease = slices.lease(
                session, org_id, job_id, number, owner=self.owner, lasts=self.runtime.settings.lease
            )
            if lease is None:
                return
            run = _SliceRun(self, lease)
            run.load(session)
        reach("slice.leased")
        with structlog.contextvars.bound_contextvars(job_id=str(job_id), slice=number, epoch=lease.epoch):
            try:
                run.run()
            except LeaseLost:
                log.warning("slice.lost")

    def stop(self) -> None:
        """Claim nothing more and let go of what has not been started. Returns at once."""
        self.stopping.set()


class _SliceRun:
    """One lease's worth of work."""

    def __init__(self, executor: Executor, lease: Lease) -> None:
        self.executor = executor
        self.runtime = executor.runtime
        self.settings = executor.runtime.settings
        self.lease = lease
        self.sender: Sender | None = None
        self.queue: list[Due] = []
        """What is due and not claimed yet."""
        self.stopped = False
        """Nothing more may be claimed: the job was paused or cancelled, or this process shuts down."""
        self.halt = Event()
        """Tells the channel to start nothing new."""
        self.arrivals: deque[tuple[Message, Outcome]] = deque()
        """Outcomes from the send loop."""
        self.on_wire: dict[UUID, tuple[int, bool]] = {}
        """Given to the channel, outcome unknown: entity id → attempt, and whether an earlier one is in doubt."""
        self.arrived_at = self.runtime.database.clock.now()
        """When outcomes were last taken in; back-off counts from there."""
        self.unsettled = Unsettled()
        self.trouble: Throttled | Down | None = None
        self.jitter = random.random()  # noqa: S311 - spreads retries, guards nothing
        self.counts: Counter[str] = Counter()

    def run(self) -> None:
        """Work until the slice holds nothing due, or nothing more may be claimed; then close it."""
        started = time.monotonic()
        try:
            size = self.settings.wave_size
            while self.queue and not self._should_stop():
                wave, self.queue = self.queue[:size], self.queue[size:]
                self._deliver(self._claim(wave))
                reach("wave.sent")
            self._persist(self._close)
        finally:
            self.halt.set()  # whoever lost the lease must not go on sending
        reach("slice.closed")
        log.info("slice.closed", seconds=round(time.monotonic() - started, 3), **self.counts)

    def _should_stop(self) -> bool:
        return self.stopped or self.trouble is not None or self.executor.stopping.is_set()

    def _hold(self, session: Session, expected: Tally) -> JobState:
        """Hold the slice for this transaction, and notice whether anything may still be claimed."""
        state = slices.hold(session, self.lease, lasts=self.settings.lease, expected=expected)
        self.stopped = not state.may_claim
        return state

    def load(self, session: Session) -> None:
        """Find out what is due, in the lease's own transaction. A sender that cannot be had, or must wait, makes the
        whole job wait instead.
        """
        lease = self.lease
        now = self.runtime.database.clock.now()
        try:
            sender = self.executor.senders.of_job(session, lease.org_id, lease.job_id)
        except SenderUnavailable as error:
            log.error("sender.unavailable", reason=str(error))  # noqa: TRY400 - the reason says it all
            health.wait(session, lease, until=now + _UNAVAILABLE, reason=str(error))
            return
        if sender.blocked_until is not None and sender.blocked_until > now:
            health.wait(session, lease, until=sender.blocked_until, reason=sender.blocked_reason or "")
            return
        self.sender = sender
        self.queue = waves.load(session, lease)

    def _claim(self, wave: list[Due]) -> list[Message]:
        """Claim a wave, settling what is known of the one before in the same transaction, and make it ready to send."""
        address_of = self._sender.channel.address_of
        addresses = [None if due.attributes is None else address_of(due.attributes) for due in wave]

        def claim(session: Session, *, again: bool) -> tuple[dict[UUID, tuple[UUID, int]], dict[str, str]]:
            expected = self.unsettled.tally(in_flight=len(wave))
            state = self._hold(session, expected)
            taken: dict[UUID, tuple[UUID, int]] = {}
            if not self._should_stop():
                taken = waves.claim(session, self.lease, [due.entity_id for due in wave], again=again)
            waves.settle(session, self.lease, self.unsettled, expected=expected, in_flight=len(taken))
            barred = {}
            if taken and state.suppresses:
                barred = suppressed(session, self.lease.org_id, self._sender.kind, filter(None, addresses))
            reach("wave.before_claim_commit")
            return taken, barred

        taken, barred = self._persist(claim)
        self.unsettled.clear()
        if not taken:
            return []
        reach("wave.claimed")
        messages = []
        for due, address in zip(wave, addresses, strict=True):
            claimed = taken.get(due.entity_id)
            if claimed is None:
                continue
            execution_id, attempt = claimed
            message = self._message(due, address, execution_id, barred)
            if message is not None:
                self.on_wire[due.entity_id] = (attempt, due.doubted)
                messages.append(message)
        return messages

    @property
    def _sender(self) -> Sender:
        assert self.sender is not None  # noqa: S101 - a run without sender has an empty queue
        return self.sender

    def _exclude(self, entity_id: UUID, code: str, why: str) -> None:
        """The recipient is recorded as cancelled, with the reason."""
        self._note(Settlement(entity_id, AutomationStatus.CANCELLED, code, why))

    def _note(self, settlement: Settlement) -> None:
        self.unsettled.others.append(settlement)
        self.counts[settlement.status] += 1

    def _message(
        self, due: Due, address: str | None, execution_id: UUID, barred: dict[str, str]
    ) -> Message | None:
        """What is sent to a recipient. None: there is nothing to send, and why is noted; a template that fails for
        one recipient fails that recipient.
        """
        lease, sender, entity_id = self.lease, self._sender, due.entity_id
        if due.attributes is None:
            self._exclude(entity_id, "ENTITY_DELETED", "the entity was deleted")
            return None
        if address is None:
            self._exclude(entity_id, "NO_ADDRESS", f"no address for channel {sender.kind}")
            return None
        if address in barred:
            self._exclude(entity_id, "SUPPRESSED", barred[address])
            return None
        url = None
        if sender.links is not None:
            url = sender.links.unsubscribe(
                Invitation(lease.org_id, lease.campaign_id, entity_id, sender.kind, address)
            )
        try:
            extras = {} if url is None else {"unsubscribe_url": url}
            content = sender.template.render(due.attributes, extras)
        except RenderError as error:
            self._note(Settlement(entity_id, AutomationStatus.FAILED, "TEMPLATE_ERROR", str(error)[:1000]))
            return None
        return Message(
            execution_id=execution_id,
            org_id=lease.org_id,
            campaign_id=lease.campaign_id,
            entity_id=entity_id,
            address=address,
            content=content,
            unsubscribe_url=url,
        )

    def _deliver(self, messages: list[Message]) -> None:
        """Send a wave and take in its outcomes, flushing them as they come."""
        if not messages:
            return
        self.halt.clear()
        ended = Event()
        sending = self.executor.loop.submit(self._sender.channel.send(messages, self._report, self.halt))
        sending.add_done_callback(lambda _: ended.set())
        looked = time.monotonic()
        while not ended.wait(self.settings.flush_interval.total_seconds()):
            self._take_arrivals()
            if self.executor.stopping.is_set():
                self.halt.set()
            now = time.monotonic()
            if self.unsettled or now - looked >= _LOOK:
                self._persist(self._flush)
                self.unsettled.clear()
                reach("settle.committed")
                looked = now
        self._take_arrivals()
        self._close_wave(sending)

    def _report(self, message: Message, outcome: Outcome) -> None:
        """Called on the send loop. Wakes nobody: a switch of threads for each outcome would cost more than the send."""
        self.arrivals.append((message, outcome))
        if isinstance(outcome, Throttled | Down):
            self.trouble = outcome
            self.halt.set()

    def _take_arrivals(self) -> None:
        self.arrived_at = self.runtime.database.clock.now()
        delivered = self.unsettled.delivered
        known = len(delivered)
        while self.arrivals:
            message, outcome = self.arrivals.popleft()
            flight = self.on_wire.pop(message.entity_id, None)
            if flight is None:
                log.error("channel.reported_twice", entity_id=str(message.entity_id))
                continue
            if type(outcome) is Delivered:
                delivered.append(message.entity_id)
            else:
                self._decide(message.entity_id, flight, outcome)
        self.counts[AutomationStatus.SUCCESS] += len(delivered) - known

    def _decide(self, entity_id: UUID, flight: tuple[int, bool], outcome: Outcome) -> None:
        attempt, doubted = flight
        policy = self._sender.policy
        self._note(
            decide(
                entity_id, attempt, outcome, policy, doubted=doubted, now=self.arrived_at, jitter=self.jitter
            )
        )

    def _close_wave(self, sending: Future[None]) -> None:
        """A channel that broke its promise left messages without outcome: that is doubt, not loss."""
        if not self.on_wire:
            return
        error = sending.exception()
        log.error("channel.broken", unreported=len(self.on_wire), exc_info=error)
        doubt = Doubtful("CHANNEL_ERROR", f"the channel ended without an outcome: {error!r}")
        for entity_id, flight in self.on_wire.items():
            self._decide(entity_id, flight, doubt)
        self.on_wire.clear()

    def _flush(self, session: Session, *, again: bool) -> None:  # noqa: ARG002 - settling twice settles once
        in_flight = len(self.on_wire)
        expected = self.unsettled.tally(in_flight=in_flight)
        self._hold(session, expected)
        waves.settle(session, self.lease, self.unsettled, expected=expected, in_flight=in_flight)
        reach("settle.before_commit")
        if self.stopped:
            self.halt.set()

    def _close(self, session: Session, *, again: bool) -> None:  # noqa: ARG002 - a closed lease is a lost one
        """Settle the last wave and give the slice back: done, or ready when its next recipient is due."""
        lease = self.lease
        expected = self.unsettled.tally(in_flight=0)
        state = self._hold(session, expected)
        waves.settle(session, lease, self.unsettled, expected=expected, in_flight=0)
        if self.trouble is not None:
            sender = self._sender
            health.block(
                session, lease, sender.channel_id, self.trouble, failures=sender.failures, jitter=self.jitter
            )
        elif self.sender is not None and self.sender.failures and self.counts["success"]:
            health.recover(session, lease, self.sender.channel_id)
        if state.status == JobStatus.CANCELLED:
            waves.cancel_pending(session, lease)
        due_at = waves.next_due(session, lease)
        reach("slice.before_close_commit")
        slices.close(session, lease, due_at=due_at)

    def _persist(self, work: Callable[..., T]) -> T:
        """Run a transaction until it is committed, however long the database is away.

        Raises:
            LeaseLost: somebody else has the slice by now.
            sqlalchemy.exc.DBAPIError: it is away for longer than outcomes are kept.
        """
        deadline = time.monotonic() + _KEEP
        again = False
        while True:
            try:
                with self.runtime.transaction() as session:
                    return work(session, again=again)
            except DBAPIError as error:
                if not is_connection_loss(error) or time.monotonic() > deadline:
                    raise
                log.warning("database.away", reason=str(error.orig))
                again = True
                Event().wait(0.2)
