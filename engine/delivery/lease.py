"""One lease of a slice from its beginning to its end, in the order in which things happen:

| step | what happens |
|---|---|
| lease | the slice is taken for as long as a lease lasts: `Executor.execute` |
| load | its recipients that are due, in groups, and their senders (`engine.delivery.work_plan`): `LeaseRun.__init__` |
| claim | a wave of at most 100 is on the wire from here on: one write, on the slice: `_next_wave`, `_claim` |
| render | each gets a message, or an outcome that says why there is none: `_render` |
| permits | a wave under limits waits for its moment (`engine.delivery.slice_throttle`) |
| send | the channel reports one outcome a message: `_send`, `_report`, `_take_arrivals` |
| complete | outcomes are written, with the next claim or every 100 ms: `_flush`, `_complete` |
| close | the slice is done, or ready again when its next recipient is due: `_close` |

Promises (docs/architecture.md):
- A claim is committed before a message of a wave exists; a wave is at most 100 recipients, so that is the most a crash
  leaves in doubt per slice. (The whole slice where a channel takes a wave in one piece.)
- Every transaction says whom it leaves on the wire, exactly (`slices.Claims`): who is claimed and has no outcome yet.
  Their rows are written once, with the outcome, which counts the attempt.
- Completing one wave and claiming the next is one transaction, on PostgreSQL and where all is as usual one round trip.
- Every message that was given to the channel ends in one outcome, also where the channel broke its promise of one:
  that is doubt, not loss.
- Every transaction renews the lease (`slices.renew`), so a lost one writes nothing, and a pause, a cancellation or
  other limits are noticed by the next. They and a shutdown are seen between sends as well: nothing new is started, what
  is on the wire is completed, what was not started is pending again.
- While the database is away nothing is claimed and nothing is forgotten: a transaction is tried again until it is
  committed, somebody else got the lease, or outcomes were kept for ten minutes. Outcomes of recipients that are claimed
  no more by then were written by an earlier try whose answer was lost.
- Nobody is claimed by what was known of them for long (`engine.delivery.freshness`).

What it writes, as rows: `engine.delivery.lease_writes`; as SQL: `engine.delivery.lease_statements`.
"""

from __future__ import annotations

import os
import random
import socket
import time
from collections import Counter, deque
from dataclasses import replace
from functools import partial
from threading import BoundedSemaphore, Event
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import structlog
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from engine.answers.meanings import Scope
from engine.channels.port import Delivered, Doubtful, Down, Outcome, Released, SenderRefused, Throttled
from engine.delivery import freshness, health, lease_writes, outcome_metrics, slices
from engine.delivery.address_claims import claim_addresses
from engine.delivery.cancel import cancel_left
from engine.delivery.coincidences import Coincidences
from engine.delivery.compose import compose, removed
from engine.delivery.flow_plan import flow_plan_of
from engine.delivery.lease_writes import Claimed, KeyRange, PendingOutcomes
from engine.delivery.meter import Meter
from engine.delivery.outcomes import Settlement, decide
from engine.delivery.reschedule import block_channels, next_run_at
from engine.delivery.return_breaker import pause_for_returns
from engine.delivery.rollup import NO_KEY, CounterKey, hour_of
from engine.delivery.scoped_answers import (
    HANDFUL,
    ScopedAnswers,
    WaveFacts,
    is_perhaps_everybodys,
    is_scoped,
)
from engine.delivery.sender_refused import pause_for_sender
from engine.delivery.slice_throttle import SliceThrottle
from engine.delivery.slices import NOBODY, Claims, JobState, LeaseLost, Tally
from engine.delivery.work_plan import NOTHING_REMAINS, plan_work
from engine.engagement.suppression import suppressed
from engine.kernel import metrics, tracing
from engine.kernel.triggers import reach
from engine.limits.context import LimitContext
from engine.limits.pacing import Allowance
from state.database import is_connection_loss
from state.tables import Organization
from state.transitions import STOPPED, AutomationStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future
    from contextlib import AbstractContextManager
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.content.message import Message
    from engine.delivery.flow_plan import FlowPlan
    from engine.delivery.lease_writes import Claim, CombinedWave
    from engine.delivery.scoped_answers import Judgement
    from engine.delivery.sender import Sender, Senders
    from engine.delivery.slices import Lease
    from engine.delivery.work_plan import PendingRecipient, StepGroup
    from engine.kernel.runtime import Runtime
    from engine.kernel.send_loop import SendLoop

__all__ = ["Executor"]

log = structlog.get_logger(__name__)

T = TypeVar("T")

_WAVE_SECONDS = metrics.WAVE_SECONDS.histogram()
_LEASES_LOST = metrics.LEASES_LOST.counter()
_DATABASE_LOSSES = metrics.DATABASE_LOSSES.counter()

#: How often a wave that is on the wire looks whether its job was paused or cancelled, in seconds.
_LOOK = 0.25
#: From this part of a slice's outcomes on that failed, its campaign's are looked at before the slice is done.
_SHARE = 0.05
#: How long outcomes are kept while the database is away before the lease is given up, in seconds.
_KEEP = 600.0
#: How long it is left alone then, in seconds.
_AGAIN = 0.2


class Executor:
    """Executes slices; one per worker process, used by all its threads."""

    def __init__(
        self, runtime: Runtime, senders: Senders, loop: SendLoop, *, limit_context: LimitContext | None = None
    ) -> None:
        self.runtime = runtime
        self.senders = senders
        self.limit_context = limit_context or LimitContext(runtime.settings)
        self.loop = loop
        self.coincidences = Coincidences()
        self.meter = Meter()
        self.stopping = Event()
        self.owner = f"{socket.gethostname()}:{os.getpid()}"
        self.turns = BoundedSemaphore(runtime.settings.worker_database_threads)
        """A thread that has one may be in the database: more threads there are in each other's way."""

    def execute(self, org_id: UUID, job_id: UUID, number: int) -> None:
        """Deliver what is due of a slice. A slice that is not ready (a repeated wake-up) is left alone.

        Raises:
            sqlalchemy.exc.OperationalError: the database is away, before anything was claimed.
        """
        if self.stopping.is_set():
            return
        # A lease whose holder learns no more is as good as one whose holder died: it expires.
        with self.turns, self.runtime.transaction(autocommit=True) as session:
            lease = slices.lease(
                session, org_id, job_id, number, owner=self.owner, lasts=self.runtime.settings.lease
            )
            if lease is None:
                return
            flow = flow_plan_of(session, org_id, job_id)
            is_ready = self.senders.are_ready(session, org_id, flow)
            if is_ready:
                run = LeaseRun(self, lease, flow, session)
        if not is_ready:  # a template that is slow to compile holds up nobody but those who send it
            with self.runtime.database.read() as session:
                self.senders.make_ready(session, org_id, flow)
            with self.turns, self.runtime.transaction(autocommit=True) as session:
                run = LeaseRun(self, lease, flow, session)
        reach("slice.leased")
        with structlog.contextvars.bound_contextvars(job_id=str(job_id), slice=number, epoch=lease.epoch):
            try:
                run.run()
            except LeaseLost:
                _LEASES_LOST.inc()
                log.warning("slice.lost")

    def stop(self) -> None:
        """Claim nothing more and let go of what has not been started. Returns at once."""
        self.stopping.set()

    def close(self) -> None:
        """Give back connections. Safe to call twice."""
        self.limit_context.close()


class _Transaction(NamedTuple):
    """One try of a transaction."""

    session: Any
    """Its session, or a connection on which every statement is a transaction of its own."""
    now: datetime


class _InFlight(NamedTuple):
    """A message that was given to the channel, its outcome unknown."""

    attempt: int
    maybe_delivered: bool
    """An earlier attempt may have arrived."""


class _Wave(NamedTuple):
    """A wave that was claimed."""

    recipients: Sequence[tuple[PendingRecipient, str | None]]
    """Each that was wanted, with its address; None: it has none."""
    claims: dict[UUID, Claim]
    """Of those that were claimed, by entity id."""
    barred: dict[str, str]
    """Addresses that must not be used, and why."""
    excluded: dict[UUID, Settlement]
    """Recipients that are claimed and get nothing, and how that is recorded."""
    keys: KeyRange | None = None
    """They are all that is in flight there."""

    def reached(self) -> Iterator[tuple[PendingRecipient, str]]:
        """Those to whom nothing stands in the way so far, with their addresses."""
        for recipient, address in self.recipients:
            if (
                recipient.entity_id in self.claims
                and recipient.entity_id not in self.excluded
                and address is not None
                and address not in self.barred
            ):
                yield recipient, address


class LeaseRun:
    """The state of one lease. It is used by one thread; the send loop calls `_report`, and nothing else."""

    def __init__(self, executor: Executor, lease: Lease, flow: FlowPlan, session: Session) -> None:
        """Load what is due, in the lease's own transaction."""
        runtime = executor.runtime
        self._executor = executor
        self._lease = lease
        self._runtime = runtime
        self._flush_interval = runtime.settings.flush_interval.total_seconds()
        self._began = time.monotonic()
        now = self._runtime.database.clock.now()

        # What is due, and since when that is known.
        self._steady = executor.limit_context.steady
        self._loaded_at = self._flow_read_at = self._steady()
        self._changed_since = now - freshness.COMMITTED_WITHIN
        self._plan = plan_work(
            session, lease, flow, executor.senders, now, lasts=self._runtime.settings.lease
        )

        # Why no more may be claimed.
        self._stopped = False
        """The job was paused or cancelled."""
        self._outdated = False
        """What is sent has changed: the next lease, at once, goes by the change."""
        self._trouble: Throttled | SenderRefused | Down | None = None
        """The channel that is sent through is left alone from now on."""
        self._troubles: dict[UUID, Throttled | SenderRefused | Down] = {}
        """Channels that are left alone for the rest of the lease."""

        # Limits: none for a channel that nothing limits.
        self._throttles: dict[UUID, SliceThrottle] = {}
        self._limits_epoch = lease.limits_epoch

        # Messages that are being sent.
        self._sender: Sender
        self._in_flight: dict[UUID, _InFlight] = {}
        self._asked: dict[UUID, _InFlight] = {}
        """Refused for the sake of a wider scope, which is judged when the wave has ended."""
        self._scoped = ScopedAnswers()
        """The answers that they got."""
        self._arrivals: deque[tuple[Message, Outcome]] = deque()
        """From the send loop. They are taken without waking anybody: a switch of threads for each costs more than the
        send."""
        self._arrived_at = now
        """When they were last taken; back-off counts from there."""
        self._senders_refused = self._perhaps_everybodys = 0
        self._halt = Event()
        """Tells the channel to start nothing new."""

        # Outcomes.
        self._outcomes = PendingOutcomes()
        self._counts: Counter[str] = Counter()
        """Of the lease, by status."""
        self._failed = 0
        """Of them, when the campaign's returns were last looked at."""
        self._jitter = random.random()  # noqa: S311 - spreads retries, guards nothing

        # What the slice's counters say.
        self._counter_key: CounterKey | None = None
        """What they count for."""
        self._between_steps = lease.between_steps
        """How many of the slice's recipients are between two touchpoints."""
        self._through = 0
        """Recipients that this lease is known to have delivered to for good."""

        self._apply_limits(session, self._limits_epoch)
        if self._plan.groups and self._plan.groups[0].sender is not None:
            slices.set_pace(session, lease, self._pace(now))

    def run(self) -> None:
        """Work until the slice holds nothing due, or nothing more may be claimed; then close it."""
        try:
            for group in self._plan.groups:
                if self._must_end():
                    break
                if group.sender is None:
                    self._move(group)
                else:
                    self._send_group(group, group.sender)
            self._persist(self._close)
            self._pause_for_sender()
            if self._counts[AutomationStatus.FAILED]:
                self._pause_for_returns()
        finally:
            self._halt.set()  # a run that lost its lease must not go on sending
            for throttle in self._throttles.values():
                throttle.end()
        reach("slice.closed")
        log.info("slice.closed", seconds=round(time.monotonic() - self._began, 3), **self._counts)

    def _must_end(self) -> bool:
        """Whether nothing more may be claimed: the job was paused or cancelled, what is sent has changed, or this
        process shuts down.
        """
        return self._stopped or self._outdated or self._executor.stopping.is_set()

    def _move(self, group: StepGroup) -> None:
        """Let a group go on to another touchpoint: nothing is sent where it is."""

        def move(transaction: _Transaction) -> int:
            session, now = transaction
            before = self._between_steps
            expected = self._outcomes.tally(between_steps=before, claims=NOBODY, now=now)
            self._renew(session, expected, now)
            completed = self._complete(session, expected, between_steps=before, now=now)
            moved = lease_writes.move(session, self._lease, group, self._plan.flow, now)
            between = before + completed + moved.placed - len(group.in_progress)
            written = Tally(success=moved.finished, between_steps=between)
            lease_writes.correct(session, self._lease, written, Tally())
            return between

        self._write(move)
        self._plan.more_due = True

    # Claim.

    def _send_group(self, group: StepGroup, sender: Sender) -> None:
        """Send to a group wave by wave, unless its channel had trouble or must wait."""
        self._sender, self._trouble = sender, None
        queue = [] if sender.channel_id in self._troubles else group.pending
        while queue and self._may_claim():
            wave, queue = self._next_wave(group, queue)
            if wave:
                with tracing.span("wave", recipients=len(wave)):
                    self._send(group, self._claim(group, wave))
                reach("wave.sent")
        if self._trouble is not None:
            self._troubles[sender.channel_id] = self._trouble

    @property
    def _throttle(self) -> SliceThrottle | None:
        """What limits mean for the channel that is sent through."""
        return self._throttles.get(self._sender.channel_id)

    def _may_claim(self) -> bool:
        """Whether more may be claimed of the group that is sent to."""
        throttle = self._throttle
        waits = throttle is not None and throttle.wait is not None
        return not (self._must_end() or self._trouble is not None or waits)

    def _next_wave(
        self, group: StepGroup, queue: list[PendingRecipient]
    ) -> tuple[list[PendingRecipient], list[PendingRecipient]]:
        """The recipients that are claimed next, and the rest. None: limits keep them from being sent to now."""
        throttle, size = self._throttle, self._runtime.settings.wave_size
        if group.probing:
            size = health.PROBE
        elif throttle is None and self._sender.channel.in_one_piece:
            size = len(queue)
        if throttle is None:
            return queue[:size], queue[size:]
        wave, rest = throttle.next_wave(queue, size)
        if wave:
            if self._outcomes and throttle.delay > self._flush_interval:
                self._flush()  # what is known must not wait for a permit
            throttle.prepare(self._executor.stopping)
        return wave, rest

    def _claim(self, group: StepGroup, wanted: list[PendingRecipient]) -> list[Message]:
        """Claim a wave, completing the one before in the same transaction, and make it ready to send. Nobody is claimed
        where what is sent has changed.
        """
        wanted = self._refresh(group, wanted)
        if self._outdated:
            return []
        address_of = self._sender.channel.address_of
        recipients = [(one, None if one.attributes is None else address_of(one.attributes)) for one in wanted]
        if group.sequence is None and self._can_combine():
            wave = self._complete_and_claim(group, recipients)
        else:
            wave = self._claim_step_by_step(group, recipients)
        self._outcomes.begin(group, None if wave.keys is None else (wave.keys, len(wave.claims)))
        if not wave.claims:
            return []
        reach("wave.claimed")
        return self._render(group, wave)

    def _refresh(self, group: StepGroup, wanted: list[PendingRecipient]) -> list[PendingRecipient]:
        """The recipients as they are now, if they were not read a moment ago. None: what is sent has changed."""
        steady = self._steady()
        if steady - self._loaded_at < freshness.FRESH_FOR:
            return wanted

        def read(transaction: _Transaction) -> list[PendingRecipient]:
            session = transaction.session
            if steady - self._flow_read_at >= freshness.FRESH_FOR:
                self._outdated = freshness.has_changed(
                    session, self._lease, self._plan.flow, group, self._executor.senders
                )
                self._flow_read_at = steady
            if self._outdated:
                return []
            return freshness.reread(session, self._lease, wanted, since=self._changed_since)

        return self._persist(read, self._runtime.database.read)

    def _can_combine(self) -> bool:
        """Whether outcomes may be written, and a wave claimed, in one round trip: on PostgreSQL, where nothing is
        limited, refused, reported to webhooks or between two touchpoints.
        """
        lease, outcomes = self._lease, self._outcomes
        return (
            self._runtime.database.dialect.has_many_writers
            and not (self._throttles or lease.emits_recipient_events or lease.between_steps)
            and outcomes.sequence is None
            and not (outcomes.others or outcomes.barred)
        )

    def _complete_and_claim(
        self, group: StepGroup, recipients: list[tuple[PendingRecipient, str | None]]
    ) -> _Wave:
        """Claim a wave in one round trip, because all is as usual."""
        wanted: list[UUID] | KeyRange = [recipient.entity_id for recipient, _ in recipients]
        if group.is_whole_slice:
            wanted = KeyRange(recipients[0][0].entity_id, recipients[-1][0].entity_id)

        def exchange(transaction: _Transaction) -> CombinedWave:
            self._counter_key = CounterKey(group.touchpoint_id, group.variant, hour_of(transaction.now))
            reach("wave.before_claim_commit")
            return self._exchange(transaction, wanted)

        claims, completed, state = self._persist(exchange, self._runtime.database.autocommit)
        self._through += completed
        if state.limits_epoch != self._limits_epoch:
            self._persist(lambda transaction: self._learn_limits(transaction.session, state.limits_epoch))
        keys = wanted if isinstance(wanted, KeyRange) else None
        wave = _Wave(recipients, claims, {}, removed(claims), keys)
        if claims and (state.suppresses or self._lease.one_per_address):

            def exclude(transaction: _Transaction) -> _Wave:
                return self._exclude(transaction.session, wave, state)

            wave = self._persist(exclude, self._runtime.database.autocommit)
        return wave

    def _exchange(self, transaction: _Transaction, wanted: list[UUID] | KeyRange) -> CombinedWave:
        """Complete what is known and claim `wanted` in one statement."""
        session, now = transaction
        wave = lease_writes.complete_and_claim(
            session,
            self._lease,
            delivered=self._outcomes.keys,
            contact=self._outcomes.contact,
            wanted=wanted,
            limits_epoch=self._limits_epoch,
            lasts=self._runtime.settings.lease,
            key=self._counter_key or NO_KEY,
            now=now,
        )
        self._stopped = not wave.state.may_claim
        return wave

    def _claim_step_by_step(
        self, group: StepGroup, recipients: list[tuple[PendingRecipient, str | None]]
    ) -> _Wave:
        """Claim a wave in a transaction of several statements, whatever the case."""
        wanted = [recipient for recipient, _ in recipients]
        entity_ids = [recipient.entity_id for recipient in wanted]
        throttle, at = self._throttle, self._runtime.database.clock.now()
        postponed = {} if throttle is None else throttle.postponed(wanted)

        def claim(transaction: _Transaction) -> tuple[_Wave, int, CounterKey]:
            session, now = transaction
            key = CounterKey(group.touchpoint_id, group.variant, hour_of(now))
            self._counter_key = self._counter_key or key
            between = self._between_steps - group.count_in_progress(entity_ids)
            wished = Claims(entity_ids, group.place)
            expected = self._outcomes.tally(between_steps=between, claims=wished, now=now)
            state = self._renew(session, expected, now)
            claimed = Claimed({})
            if self._may_claim():
                claimed = lease_writes.claim(session, self._lease, group, entity_ids, now=now)
            claims, moved = claimed.claims, claimed.moved
            self._plan.more_due |= moved.placed > 0
            between = (
                self._between_steps - group.count_in_progress(claims) - claimed.passed_over + moved.placed
            )
            going = wished._replace(entity_ids=[key for key in entity_ids if key in claims])
            between += self._complete(
                session, expected, between_steps=between, claims=going, now=now, finished=moved.finished
            )
            wave = _Wave(recipients, claims, {}, {**postponed, **removed(claims)})
            wave = self._exclude(session, wave, state)
            if throttle is not None:
                reached = [recipient for recipient, _ in wave.reached()]
                wave.excluded.update(throttle.capped(session, reached, at))
            if key != self._counter_key:
                self._fold(session, in_progress=len(claims) + between, key=key)
            reach("wave.before_claim_commit")
            return wave, between, key

        wave, self._between_steps, self._counter_key = self._persist(claim)
        return wave

    def _exclude(self, session: Any, wave: _Wave, state: JobState) -> _Wave:
        """Find out which of a claimed wave must not be written to: suppressed addresses, and those that another
        recipient of the campaign has, where it writes to each once.
        """
        sender, lease = self._sender, self._lease
        if sender.is_action or not wave.claims:
            return wave
        medium = sender.channel.medium
        addresses = [address for _, address in wave.recipients if address is not None]
        if state.suppresses and addresses:
            wave = wave._replace(barred=suppressed(session, lease, medium, addresses))
        if lease.one_per_address:
            reached = [(recipient.entity_id, address) for recipient, address in wave.reached()]
            wave.excluded.update(claim_addresses(session, lease.campaign_id, medium, reached))
        return wave

    # Render.

    def _render(self, group: StepGroup, wave: _Wave) -> list[Message]:
        """The messages of a claimed wave; of a recipient that gets none the outcome is noted."""
        messages = []
        for recipient, address in wave.recipients:
            claim = wave.claims.get(recipient.entity_id)
            if claim is None:
                continue
            excluded = wave.excluded.get(recipient.entity_id)
            message: Message | Settlement
            if excluded is not None or claim.execution_id is None:
                message = wave.excluded[recipient.entity_id]
            else:
                message = compose(
                    self._lease,
                    self._sender,
                    recipient,
                    address,
                    claim.execution_id,
                    wave.barred,
                    group.touchpoint_id,
                )
            if isinstance(message, Settlement):
                self._note(message)
            else:
                self._in_flight[recipient.entity_id] = _InFlight(claim.attempt, recipient.maybe_delivered)
                messages.append(message)
        return messages

    # Send.

    def _send(self, group: StepGroup, messages: list[Message]) -> None:
        """Send a wave and take its outcomes, writing them as they come."""
        sender, stopping, throttle = self._sender, self._executor.stopping, self._throttle
        if self._must_end() or (throttle is not None and not throttle.depart(messages, stopping)):
            for message in messages:  # they may not leave after all; nobody was sent to
                self._decide(message.entity_id, self._in_flight.pop(message.entity_id), Released())
            return
        if not messages:
            return
        self._halt.clear()
        with tracing.span("channel.send", kind="client", channel=sender.kind, messages=len(messages)) as span:
            taken = self._exchange_messages(messages)
            span.note(delivered=taken)
        if self._asked:
            self._judge(messages, Allowance() if throttle is None else throttle.allowance)
        if group.probing and self._trouble is None:
            self._close_breaker()
            group.probing = False
        self._look_at_returns()

    def _exchange_messages(self, messages: list[Message]) -> int:
        """Give a wave to the channel and take its outcomes until it has ended; returns how many were delivered."""
        sender, stopping = self._sender, self._executor.stopping
        taken = self._counts[AutomationStatus.SUCCESS]
        ended = Event()
        sending = self._executor.loop.submit(sender.channel.send(messages, self._report, self._halt))
        sending.add_done_callback(lambda _: ended.set())
        began = looked = time.monotonic()
        while not ended.wait(self._flush_interval):
            self._take_arrivals()
            if stopping.is_set():
                self._halt.set()
            now = time.monotonic()
            if self._outcomes or now - looked >= _LOOK:
                self._flush()
                looked = now
        self._take_arrivals()
        self._doubt_rest(sending)
        taken = self._counts[AutomationStatus.SUCCESS] - taken
        now = time.monotonic()
        self._executor.meter.note(sender.channel_id, taken, now)
        _WAVE_SECONDS.labels(sender.kind).observe(now - began, tracing.exemplar())
        outcome_metrics.count_delivered(sender.kind, taken)
        return taken

    def _report(self, message: Message, outcome: Outcome) -> None:
        """Called on the send loop, for each outcome."""
        self._arrivals.append((message, outcome))
        if type(outcome) is Delivered:
            return
        if isinstance(outcome, Throttled) and outcome.scope is Scope.CHANNEL:
            if not is_scoped(outcome):
                self._trouble = outcome
            self._halt.set()
        elif type(outcome) is Down:
            self._trouble = outcome
            self._halt.set()
        elif type(outcome) is SenderRefused:
            self._senders_refused += 1
            if self._senders_refused >= outcome.threshold:
                self._halt.set()
        elif is_perhaps_everybodys(outcome):
            self._perhaps_everybodys += 1
            if self._perhaps_everybodys >= HANDFUL and not self._is_any_taken():
                self._halt.set()

    def _is_any_taken(self) -> bool:
        """Whether the provider took any message of the lease."""
        return bool(self._counts[AutomationStatus.SUCCESS]) or any(
            type(outcome) is Delivered for _, outcome in [*self._arrivals]
        )

    def _take_arrivals(self) -> None:
        """Take what was reported so far."""
        self._arrived_at = self._runtime.database.clock.now()
        delivered = self._outcomes.delivered
        known = len(delivered)
        while self._arrivals:
            message, outcome = self._arrivals.popleft()
            flight = self._in_flight.pop(message.entity_id, None)
            if flight is None:
                log.error("channel.reported_twice", entity_id=str(message.entity_id))
            elif type(outcome) is Delivered:
                delivered.append(message.entity_id)
            elif is_scoped(outcome):
                self._asked[message.entity_id] = flight
                self._scoped.note(message, outcome)
            else:
                self._decide(message.entity_id, flight, outcome)
                self._outcomes.note_rejection(self._sender, message, outcome)
        self._counts[AutomationStatus.SUCCESS] += len(delivered) - known

    def _doubt_rest(self, sending: Future[None]) -> None:
        """The channel has ended: of what it reported no outcome for, nobody knows whether it arrived."""
        if not self._in_flight:
            return
        error = sending.exception()
        log.error("channel.broken", unreported=len(self._in_flight), exc_info=error)
        doubt = Doubtful("CHANNEL_ERROR", f"the channel ended without an outcome: {error!r}")
        for entity_id, flight in self._in_flight.items():
            self._decide(entity_id, flight, doubt)
        self._in_flight.clear()

    def _decide(
        self, entity_id: UUID, flight: _InFlight, outcome: Outcome, due_at: datetime | None = None
    ) -> None:
        """Note what an outcome means for its recipient."""
        outcome_metrics.count(self._sender.kind, outcome)
        settlement = decide(
            entity_id,
            flight.attempt,
            outcome,
            self._sender.policy,
            maybe_delivered=flight.maybe_delivered,
            now=self._arrived_at,
            jitter=self._jitter,
        )
        self._note(settlement if due_at is None else replace(settlement, due_at=due_at))

    def _note(self, settlement: Settlement) -> None:
        """Keep what is to be written about a recipient."""
        self._outcomes.others.append(settlement)
        self._counts[settlement.status] += 1

    # What a wave says beyond its messages.

    def _judge(self, messages: list[Message], allowance: Allowance) -> None:
        """Slow down what asked for it in a wave that has ended, and go by the rates that were found."""
        executor, sender, throttle, now = self._executor, self._sender, self._throttle, time.monotonic()
        alone = {} if throttle is None else throttle.effective.domains
        facts = WaveFacts(
            self._lease,
            sender.channel_id,
            messages,
            None if throttle is None else throttle.effective,
            allowance,
            self._counts[AutomationStatus.SUCCESS],
            now - self._began,
            executor.meter.rate(sender.channel_id, now),
            group_of=partial(executor.limit_context.providers.group_of, alone=alone),
            takes=executor.meter.took_lately(sender.channel_id, now),
        )

        def judge(transaction: _Transaction) -> Judgement:
            return self._scoped.judge(transaction.session, facts, executor.coincidences, transaction.now)

        def learn(transaction: _Transaction) -> None:
            epoch = select(Organization.limits_epoch).where(Organization.id == self._lease.org_id)
            self._learn_limits(transaction.session, transaction.session.execute(epoch).scalar_one())

        judgement = self._persist(judge)
        for entity_id, outcome, due_at in judgement.verdicts:
            self._decide(entity_id, self._asked.pop(entity_id), outcome, due_at)
        self._scoped.clear()
        self._trouble = self._trouble or judgement.trouble
        self._persist(learn)
        throttle = self._throttle
        if judgement.begins_empty and throttle is not None:
            throttle.begin_empty()

    def _close_breaker(self) -> None:
        """The provider answers again: the breaker closes, for everybody."""

        def recover(transaction: _Transaction) -> int:
            between = self._write_known(transaction)
            health.recover(transaction.session, self._lease, self._sender.channel_id)
            return between

        self._write(recover)

    def _look_at_returns(self) -> None:
        """See within a slice whether most of what it sends comes back."""
        failed = self._counts[AutomationStatus.FAILED]
        if failed > self._failed and failed >= _SHARE * self._counts.total():
            self._failed = failed
            self._flush()
            self._pause_for_returns()

    def _pause_for_returns(self) -> None:
        """Pause the campaign if too many of its messages were refused."""
        with self._runtime.transaction() as session:
            pause_for_returns(session, self._lease.org_id, self._lease.campaign_id)

    def _pause_for_sender(self) -> None:
        """Pause the campaign whose sender is refused: everybody is pending, and the reason says what to mend."""
        refused = next((one for one in self._troubles.values() if isinstance(one, SenderRefused)), None)
        if refused is not None:
            with self._runtime.transaction() as session:
                pause_for_sender(session, self._lease, refused)

    # Limits.

    def _apply_limits(self, session: Session, epoch: int) -> None:
        """Go by the limits of `epoch` from now on, for each channel that is sent through."""
        lease, context = self._lease, self._executor.limit_context
        for group in self._plan.groups:
            sender = group.sender
            if sender is None or sender.is_action:
                continue
            channel_id = sender.channel_id
            effective = context.effective.of(
                session, lease.org_id, lease.campaign_id, channel_id, epoch=epoch
            )
            known = self._throttles.get(channel_id)
            if effective is None:
                if known is not None:
                    self._throttles.pop(channel_id).end()
            elif known is not None:
                known.learn(effective)
            else:
                self._throttles[channel_id] = SliceThrottle(
                    context, effective, lease, self._runtime.database.clock, sender.channel.address_of
                )
        self._limits_epoch = epoch

    def _learn_limits(self, session: Session, epoch: int) -> None:
        if epoch != self._limits_epoch:
            self._apply_limits(session, epoch)

    def _pace(self, now: datetime) -> int | None:
        """How many slices of the job are worked on at a time, at most; None: as many as its window holds."""
        paces = [throttle.effective.pace(now) for throttle in self._throttles.values()]
        return min((pace for pace in paces if pace is not None), default=None)

    # Complete.

    def _flush(self) -> None:
        """Write the outcomes that are known, now."""
        self._write(self._write_known)
        reach("settle.committed")

    def _write(self, work: Callable[[_Transaction], int]) -> None:
        """Persist a transaction that completes what is known.

        Args:
            work: Returns how many of the slice are between two touchpoints then.
        """
        self._between_steps = self._persist(work)
        self._outcomes.clear()

    def _write_known(self, transaction: _Transaction) -> int:
        """Complete what is known of a wave of which others are on the wire; a pause that is noticed halts those."""
        session, now = transaction
        going, before = self._on_the_wire(), self._between_steps
        expected = self._outcomes.tally(between_steps=before, claims=going, now=now)
        self._renew(session, expected, now)
        between = before + self._complete(session, expected, between_steps=before, claims=going, now=now)
        reach("settle.before_commit")
        if self._stopped:
            self._halt.set()
        return between

    def _renew(self, session: Session, expected: Tally, now: datetime) -> JobState:
        """Hold the slice for this transaction, and notice whether anything may still be claimed."""
        key = self._counter_key or NO_KEY
        state = slices.renew(
            session, self._lease, lasts=self._runtime.settings.lease, expected=expected, key=key, now=now
        )
        self._stopped = not state.may_claim
        self._learn_limits(session, state.limits_epoch)
        return state

    def _on_the_wire(self) -> Claims:
        """Whom the lease has on the wire: the wave that was claimed last, less those that have an outcome."""
        sequence = self._outcomes.sequence
        return Claims([*self._in_flight, *self._asked], None if sequence is None else sequence.step.index)

    def _complete(
        self,
        session: Session,
        expected: Tally,
        *,
        between_steps: int,
        claims: Claims = NOBODY,
        now: datetime,
        finished: int = 0,
    ) -> int:
        """Write the outcomes that are known (`lease_writes.complete`); returns how many of them are between two
        touchpoints.
        """
        outcomes = self._outcomes
        between = lease_writes.complete(
            session,
            self._lease,
            outcomes,
            expected=expected,
            between_steps=between_steps,
            claims=claims,
            now=now,
            finished=finished,
        )
        for throttle in self._throttles.values():
            throttle.take_back(session, outcomes.others)
        self._plan.more_due |= outcomes.are_due_next(now)
        return between

    def _fold(self, session: Session, *, in_progress: int, key: CounterKey) -> None:
        """Count for `key` from here on. It locks the job: call it last in a transaction."""
        lease = self._lease
        slices.fold(session, lease.org_id, lease.job_id, lease.number, in_progress=in_progress, key=key)

    # Transactions.

    def _persist(
        self,
        work: Callable[[_Transaction], T],
        transact: Callable[[], AbstractContextManager[Any]] | None = None,
    ) -> T:
        """Run a transaction until it is committed, however long the database is away.

        Args:
            work: May be done twice: the commit of an earlier try may have happened, and then it is harmless.
            transact: What gives it a session or a connection; None: the runtime's transactions.

        Raises:
            LeaseLost: somebody else has the slice by now.
            sqlalchemy.exc.DBAPIError: it is away for longer than outcomes are kept.
        """
        deadline = time.monotonic() + _KEEP
        again = False
        while True:
            now = self._runtime.database.clock.now()
            try:
                if again:
                    self._forget_written()
                    again = False
                if self._counter_key is not None and self._counter_key.hour != hour_of(now):
                    self._end_hour(self._counter_key._replace(hour=hour_of(now)))
                with self._executor.turns, (transact or self._runtime.transaction)() as session:
                    return work(_Transaction(session, now))
            except DBAPIError as error:
                if not is_connection_loss(error) or time.monotonic() > deadline:
                    raise
                _DATABASE_LOSSES.inc()
                log.warning("database.away", reason=str(error.orig))
                again = True
                Event().wait(_AGAIN)

    def _end_hour(self, key: CounterKey) -> None:
        """The hour is over: what was counted belongs to it, and what follows to the next."""
        with self._executor.turns, self._runtime.transaction() as session:
            claimed = slices.claimed(session, self._lease)
            self._fold(session, in_progress=len(claimed) + self._between_steps, key=key)
        self._counter_key = key

    def _forget_written(self) -> None:
        """A commit whose answer was lost may have happened: outcomes of recipients no longer claimed were written."""
        with self._executor.turns, self._runtime.transaction() as session:
            self._outcomes.keep(slices.claimed(session, self._lease))

    # Close.

    def _close(self, transaction: _Transaction) -> None:
        """Complete the last wave and give the slice back: done, or ready when its next recipient is due."""
        session, now = transaction
        lease = self._lease
        state, is_all_delivered = self._complete_last(session, now)
        block_channels(
            session,
            lease,
            self._plan,
            self._troubles,
            self._throttles,
            jitter=self._jitter,
            now=now,
        )
        unreached = 0
        if state.status in STOPPED:
            unreached = cancel_left(session, lease.job_id, [lease.number], now)
        remaining = NOTHING_REMAINS if is_all_delivered else lease_writes.remaining(session, lease, now)
        self._plan.more_due |= self._must_end()
        due_at, waits_for = next_run_at(self._plan, self._throttles, remaining, now)
        reach("slice.before_close_commit")
        slices.close(
            session,
            lease,
            due_at=due_at,
            waits_for=waits_for,
            between_steps=remaining.in_progress,
            unreached=unreached,
        )

    def _complete_last(self, session: Session, now: datetime) -> tuple[JobState, bool]:
        """Complete the last wave; returns how the job stands, and whether the whole slice is known to be delivered."""
        if self._can_combine():
            wave = self._exchange(_Transaction(session, now), [])
            return wave.state, self._through + wave.completed == self._lease.size
        between = self._between_steps
        expected = self._outcomes.tally(between_steps=between, claims=NOBODY, now=now)
        state = self._renew(session, expected, now)
        self._complete(session, expected, between_steps=between, now=now)
        return state, False
