"""One lease's worth of work: what is due of a slice, part by part and wave by wave (see `execute` for the promises)."""

from __future__ import annotations

import random
import time
from collections import Counter, deque
from dataclasses import replace
from threading import Event
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import structlog
from sqlalchemy.exc import DBAPIError

from engine.audience.suppression import suppressed
from engine.channels.port import Delivered, Doubtful, Down, Message, Outcome, Released, Throttled
from engine.delivery import health, one_trip, slices, waves
from engine.delivery.aside import back_at, note_troubles
from engine.delivery.cancel import cancel_left
from engine.delivery.compose import compose, removed
from engine.delivery.domains import Domains, Verdict
from engine.delivery.limited import Limited
from engine.delivery.outcomes import Settlement, decide
from engine.delivery.parts import Agenda, Taken, agenda
from engine.delivery.rollup import NOWHERE, Cell, Spot, hour_of
from engine.delivery.slices import Tally
from engine.delivery.waves import Unsettled
from engine.triggers import reach
from state.database import is_connection_loss
from state.transitions import STOPPED, AutomationStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future
    from contextlib import AbstractContextManager
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import Connection
    from sqlalchemy.orm import Session

    from engine.delivery.execute import Executor
    from engine.delivery.parts import Part
    from engine.delivery.sender import Sender
    from engine.delivery.slices import JobState, Lease
    from engine.delivery.waves import Due

__all__ = ["SliceRun"]

log = structlog.get_logger(__name__)

T = TypeVar("T")

#: How often a wave that is on the wire looks whether its job was paused or cancelled, in seconds.
_LOOK = 0.25
#: How long outcomes are kept while the database is away before the lease is given up, in seconds.
_KEEP = 600.0


class _Claimed(NamedTuple):
    """What claiming a wave came to."""

    taken: dict[UUID, tuple[UUID | None, int]]
    """Entity id → execution id and attempt."""
    barred: dict[str, str]
    """Addresses that must not be used, and why."""
    waiting: int
    """How many of the slice are between two touchpoints now."""
    cell: Cell


class SliceRun:
    """One lease's."""

    def __init__(self, executor: Executor, lease: Lease) -> None:
        self.executor = executor
        self.runtime = executor.runtime
        self.settings = executor.runtime.settings
        self.lease = lease
        self.agenda = Agenda()
        """What is due."""
        self.sender: Sender | None = None
        """What the current part is sent with."""
        self.limits: dict[UUID, Limited] = {}
        """What limits mean for this slice, by channel; absent: nothing."""
        self.limits_epoch = lease.limits_epoch
        self.probing = False
        """The channel's breaker is half open, and this slice tries it."""
        self.domains = Domains()
        """What asks to slow down."""
        self.asked: dict[UUID, tuple[int, bool]] = {}
        """Refused for their mail domain's sake, as `on_wire`."""
        self.cell: Cell | None = None
        """What the slice's counters count for."""
        self.waiting = lease.waiting
        """How many of the slice's recipients are between two touchpoints."""
        self.started = time.monotonic()
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
        self.troubles: dict[UUID, Throttled | Down] = {}
        """Channels that are left alone for the rest of the lease."""
        self.jitter = random.random()  # noqa: S311 - spreads retries, guards nothing
        self.counts: Counter[str] = Counter()

    def load(self, session: Session) -> None:
        """Find out what is due, in the lease's own transaction."""
        lease, now = self.lease, self.runtime.database.clock.now()
        self.agenda = agenda(session, lease, self.executor.senders, now, lasts=self.settings.lease)
        for sender in self._limitable():
            self._limit(session, sender, lease.limits_epoch)
        paces = [limited.terms.pace(now) for limited in self.limits.values()]
        if self.agenda.parts and self.agenda.parts[0].sender is not None:
            slices.set_pace(session, lease, min((pace for pace in paces if pace is not None), default=None))

    def run(self) -> None:
        """Work until the slice holds nothing due, or nothing more may be claimed; then close it."""
        try:
            for part in self.agenda.parts:
                if self.stopped or self.executor.stopping.is_set():
                    break
                if part.sender is None:
                    self._move(part)
                else:
                    self._send(part, part.sender)
            self._persist(self._close)
        finally:
            self.halt.set()  # whoever lost the lease must not go on sending
            for limited in self.limits.values():
                limited.end()
        reach("slice.closed")
        log.info("slice.closed", seconds=round(time.monotonic() - self.started, 3), **self.counts)

    def _send(self, part: Part, sender: Sender) -> None:
        """Send a part, unless its channel had trouble or must wait."""
        self.sender, self.probing, self.trouble = sender, part.probing, None
        queue = [] if sender.channel_id in self.troubles else part.due
        while queue and not self._should_stop():
            wave, queue = self._next_wave(queue)
            if wave:
                self._deliver(self._claim(part, wave))
                reach("wave.sent")
        if self.trouble is not None:
            self.troubles[sender.channel_id] = self.trouble

    @property
    def limited(self) -> Limited | None:
        """What limits mean for the current part."""
        return None if self.sender is None else self.limits.get(self.sender.channel_id)

    def _next_wave(self, queue: list[Due]) -> tuple[list[Due], list[Due]]:
        """Who is claimed next, and who is left. Nobody: limits keep what is left from being sent now."""
        size = health.PROBE if self.probing else self.settings.wave_size
        limited = self.limited
        if limited is None:
            return queue[:size], queue[size:]
        wave, left = limited.next_wave(queue, size)
        if wave:
            if self.unsettled and limited.delay > self.settings.flush_interval.total_seconds():
                self._flush_now()  # what is known must not wait for a permit
            limited.prepare(self.executor.stopping)
        return wave, left

    def _flush_now(self) -> None:
        """Write the outcomes that are known."""
        self.waiting = self._persist(self._flush)
        self.unsettled.clear()
        reach("settle.committed")

    def _should_stop(self) -> bool:
        return (
            self.stopped
            or self.trouble is not None
            or self.executor.stopping.is_set()
            or (self.limited is not None and self.limited.wait is not None)
        )

    def _hold(self, session: Session, expected: Tally, now: datetime) -> JobState:
        """Hold the slice for this transaction, and notice whether anything may still be claimed."""
        lasts, cell = self.settings.lease, self.cell or NOWHERE
        state = slices.hold(session, self.lease, lasts=lasts, expected=expected, cell=cell, now=now)
        self.stopped = not state.may_claim
        self._learn(session, state.limits_epoch)
        return state

    def _learn(self, session: Session, epoch: int) -> None:
        """Go by the limits of `epoch` from now on."""
        if epoch != self.limits_epoch:
            for sender in self._limitable():
                self._limit(session, sender, epoch)
            self.limits_epoch = epoch

    def _limitable(self) -> Iterable[Sender]:
        """Of each channel that is sent through, one sender."""
        senders = (part.sender for part in self.agenda.parts)
        return {one.channel_id: one for one in senders if one is not None and not one.is_action}.values()

    def _limit(self, session: Session, sender: Sender, epoch: int) -> None:
        """Find out which limits of a channel apply from `epoch` on."""
        lease, keeper = self.lease, self.executor.keeper
        terms = keeper.terms.of(session, lease.org_id, lease.campaign_id, sender.channel_id, epoch=epoch)
        known = self.limits.get(sender.channel_id)
        if terms is None:
            if known is not None:
                known.end()
                del self.limits[sender.channel_id]
        elif known is not None:
            known.learn(terms)
        else:
            clock = self.runtime.database.clock
            self.limits[sender.channel_id] = Limited(keeper, terms, lease, clock, sender.channel.address_of)

    def _claim(self, part: Part, wave: list[Due]) -> list[Message]:
        """Claim a wave, settling what is known of the one before in the same transaction, and make it ready to send."""
        address_of = self._sender.channel.address_of
        addresses = [None if due.attributes is None else address_of(due.attributes) for due in wave]
        ids = [due.entity_id for due in wave]
        limited, at = self.limited, self.runtime.database.clock.now()
        kept: dict[UUID, Settlement] = {} if limited is None else limited.postponed(wave)

        def claim(session: Session, *, again: bool, now: datetime) -> _Claimed:
            cell = Cell(part.touchpoint_id, part.variant, hour_of(now))
            self.cell = self.cell or cell
            idle = self.waiting - part.count_waiting(ids)
            expected = self.unsettled.tally(in_progress=len(wave) + idle, now=now)
            state = self._hold(session, expected, now)
            taken, gone, moved = Taken({})
            if not self._should_stop():
                taken, gone, moved = part.claim(session, self.lease, ids, now=now, again=again)
            kept.update(removed(taken))
            self.agenda.goes_on |= moved.placed > 0
            idle = self.waiting - part.count_waiting(taken) - gone + moved.placed
            going = len(taken) + idle
            idle += self._settle(session, expected, in_progress=going, now=now, finished=moved.finished)
            barred = {}
            if taken and state.suppresses:
                barred = suppressed(session, self.lease, self._sender.kind, filter(None, addresses))
            if limited is not None:
                reached = [
                    due
                    for due, address in zip(wave, addresses, strict=True)
                    if due.entity_id in taken
                    and due.entity_id not in kept
                    and address is not None
                    and address not in barred
                ]
                kept.update(limited.capped(session, reached, at))
            if cell != self.cell:  # last, because it locks the job
                self._fold(session, in_progress=len(taken) + idle, cell=cell)
            reach("wave.before_claim_commit")
            return _Claimed(taken, barred, idle, cell)

        if part.stage is None and self._is_usual():
            taken, barred = self._exchange(part, ids, addresses)
            kept.update(removed(taken))
        else:
            taken, barred, self.waiting, self.cell = self._persist(claim)
        self.unsettled.clear()
        self.unsettled.about(part)
        if not taken:
            return []
        reach("wave.claimed")
        return self._compose(part, wave, addresses, taken, barred, kept)

    def _is_usual(self) -> bool:
        """Whether what is known may be settled, and the next wave claimed, in one round trip."""
        lease, unsettled = self.lease, self.unsettled
        return (
            self.runtime.database.is_postgresql
            and not (self.limits or lease.told or lease.waiting)
            and unsettled.stage is None
            and not (unsettled.others or unsettled.barred)
        )

    def _exchange(
        self, part: Part, ids: list[UUID], addresses: list[str | None]
    ) -> tuple[dict[UUID, tuple[UUID | None, int]], dict[str, str]]:
        """What `_claim` does when all is as usual; returns who was claimed, and the addresses that are barred."""

        def exchange(connection: Connection, *, again: bool, now: datetime) -> one_trip.Wave:
            self.cell = Cell(part.touchpoint_id, part.variant, hour_of(now))
            reach("wave.before_claim_commit")
            return self._trip(connection, ids, again=again, now=now)

        wave = self._persist(exchange, self.runtime.database.alone)
        state, addressed = wave.state, list(filter(None, addresses))
        if wave.settled < len(self.unsettled.delivered) or state.limits_epoch != self.limits_epoch:

            def catch_up(session: Session, *, again: bool, now: datetime) -> None:  # noqa: ARG001 - harmless twice
                waves.land_rest(session, self.lease, self.unsettled.delivered, wave.settled)
                self._learn(session, state.limits_epoch)

            self._persist(catch_up)
        if not (wave.claimed and state.suppresses and addressed):
            return wave.claimed, {}

        def look_up(connection: Connection, *, again: bool, now: datetime) -> dict[str, str]:  # noqa: ARG001 - it reads
            return suppressed(connection, self.lease, self._sender.kind, addressed)

        return wave.claimed, self._persist(look_up, self.runtime.database.alone)

    def _trip(
        self, transaction: Session | Connection, wanted: list[UUID], *, again: bool, now: datetime
    ) -> one_trip.Wave:
        """Settle what is known and claim `wanted`."""
        wave = one_trip.exchange(
            transaction,
            self.lease,
            delivered=self.unsettled.delivered,
            contact=self.unsettled.contact,
            wanted=wanted,
            limits_epoch=self.limits_epoch,
            lasts=self.settings.lease,
            cell=self.cell or NOWHERE,
            now=now,
            again=again,
        )
        self.stopped = not wave.state.may_claim
        return wave

    def _compose(
        self,
        part: Part,
        wave: list[Due],
        addresses: list[str | None],
        taken: dict[UUID, tuple[UUID | None, int]],
        barred: dict[str, str],
        kept: dict[UUID, Settlement],
    ) -> list[Message]:
        """The messages of a claimed wave; who gets none is noted."""
        lease, sender, touchpoint_id = self.lease, self._sender, part.touchpoint_id
        messages = []
        for due, address in zip(wave, addresses, strict=True):
            claimed = taken.get(due.entity_id)
            if claimed is None:
                continue
            execution_id, attempt = claimed
            if execution_id is None or due.entity_id in kept:
                self._note(kept[due.entity_id])
                continue
            message = compose(lease, sender, due, address, execution_id, barred, touchpoint_id)
            if isinstance(message, Settlement):
                self._note(message)
            else:
                self.on_wire[due.entity_id] = (attempt, due.doubted)
                messages.append(message)
        return messages

    def _fold(self, session: Session, *, in_progress: int, cell: Cell) -> None:
        lease = self.lease
        slices.fold(session, lease.org_id, lease.job_id, lease.number, in_progress=in_progress, cell=cell)

    def _move(self, part: Part) -> None:
        """Let a part go on to another touchpoint: nothing is sent where it is."""
        self.sender = None

        def move(session: Session, *, again: bool, now: datetime) -> int:  # noqa: ARG001 - a move repeated moves nobody
            expected = self.unsettled.tally(in_progress=self.waiting, now=now)
            self._hold(session, expected, now)
            settled = self._settle(session, expected, in_progress=self.waiting, now=now)
            moved = part.move(session, self.lease, self.agenda.course, now)
            waiting = self.waiting + settled + moved.placed - len(part.waiting)
            written = Tally(success=moved.finished, in_progress=waiting)
            waves.correct(session, self.lease, written, Tally())
            return waiting

        self.waiting = self._persist(move)
        self.unsettled.clear()
        self.agenda.goes_on = True

    @property
    def _sender(self) -> Sender:
        assert self.sender is not None  # noqa: S101 - a part is being sent
        return self.sender

    def _note(self, settlement: Settlement) -> None:
        self.unsettled.others.append(settlement)
        self.counts[settlement.status] += 1

    def _deliver(self, messages: list[Message]) -> None:
        """Send a wave and take in its outcomes, flushing them as they come."""
        if self.limited is not None and not self.limited.depart(messages, self.executor.stopping):
            for message in messages:
                self._decide(message.entity_id, self.on_wire.pop(message.entity_id), Released())
            return
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
                self._flush_now()
                looked = now
        self._take_arrivals()
        self._close_wave(sending)
        if self.domains:
            self._slow_down(messages)
        if self.probing and self.trouble is None:
            self.waiting = self._persist(self._recover)
            self.unsettled.clear()
            self.probing = False

    def _report(self, message: Message, outcome: Outcome) -> None:
        """Called on the send loop. Wakes nobody: a switch of threads for each outcome would cost more than the send."""
        self.arrivals.append((message, outcome))
        if isinstance(outcome, Throttled | Down) and not (isinstance(outcome, Throttled) and outcome.domain):
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
            elif isinstance(outcome, Throttled) and outcome.domain:
                self.asked[message.entity_id] = flight
                self.domains.note(message, outcome)
            else:
                self._decide(message.entity_id, flight, outcome)
                self.unsettled.refused(self._sender.kind, message, outcome)
        self.counts[AutomationStatus.SUCCESS] += len(delivered) - known

    def _decide(
        self, entity_id: UUID, flight: tuple[int, bool], outcome: Outcome, due_at: datetime | None = None
    ) -> None:
        attempt, doubted = flight
        policy = self._sender.policy
        settlement = decide(
            entity_id, attempt, outcome, policy, doubted=doubted, now=self.arrived_at, jitter=self.jitter
        )
        self._note(settlement if due_at is None else replace(settlement, due_at=due_at))

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

    def _slow_down(self, wave: list[Message]) -> None:
        """Slow down the mail domains that asked for it in a wave that has ended."""

        def judge(session: Session, *, again: bool, now: datetime) -> list[Verdict]:  # noqa: ARG001 - twice counts once
            terms = None if self.limited is None else self.limited.terms
            seconds = time.monotonic() - self.started
            return self.domains.judge(
                session, self.lease, self._sender.channel_id, wave, terms=terms, seconds=seconds
            )

        for entity_id, outcome, due_at in self._persist(judge):
            self._decide(entity_id, self.asked.pop(entity_id), outcome, due_at)
        self.domains.clear()

    def _recover(self, session: Session, *, again: bool, now: datetime) -> int:
        """The provider answers again: the breaker closes, for everybody."""
        waiting = self._flush(session, again=again, now=now)
        health.recover(session, self.lease, self._sender.channel_id)
        return waiting

    def _settle(
        self, session: Session, expected: Tally, *, in_progress: int, now: datetime, finished: int = 0
    ) -> int:
        """Returns how many of them wait for what is next."""
        waiting = waves.settle(
            session,
            self.lease,
            self.unsettled,
            expected=expected,
            in_progress=in_progress,
            now=now,
            finished=finished,
        )
        for limited in self.limits.values():
            limited.settle(session, self.unsettled)
        self.agenda.goes_on |= self.unsettled.goes_on(now)
        return waiting

    def _flush(self, session: Session, *, again: bool, now: datetime) -> int:  # noqa: ARG002 - twice settles once
        others = len(self.on_wire) + len(self.asked) + self.waiting
        expected = self.unsettled.tally(in_progress=others, now=now)
        self._hold(session, expected, now)
        waiting = self._settle(session, expected, in_progress=others, now=now)
        reach("settle.before_commit")
        if self.stopped:
            self.halt.set()
        return self.waiting + waiting

    def _settle_last(self, session: Session, now: datetime) -> JobState:
        """Settle the last wave, for the transaction that gives the slice back."""
        if self._is_usual():
            wave = self._trip(session, [], again=False, now=now)
            waves.land_rest(session, self.lease, self.unsettled.delivered, wave.settled)
            return wave.state
        expected = self.unsettled.tally(in_progress=self.waiting, now=now)
        state = self._hold(session, expected, now)
        self._settle(session, expected, in_progress=self.waiting, now=now)
        return state

    def _close(self, session: Session, *, again: bool, now: datetime) -> None:  # noqa: ARG002 - once closed it is lost
        """Settle the last wave and give the slice back: done, or ready when its next recipient is due."""
        lease = self.lease
        state = self._settle_last(session, now)
        note_troubles(
            session,
            lease,
            self.agenda,
            self.troubles,
            self.limits,
            observed=self.counts["success"] / max(time.monotonic() - self.started, 0.1),
            jitter=self.jitter,
            now=now,
        )
        cancelled = Counter[Spot]()
        if state.status in STOPPED:
            cancelled = cancel_left(session, lease.org_id, lease.job_id, [lease.number], now)
        left = waves.left(session, lease, now)
        self.agenda.goes_on |= self.stopped or self.executor.stopping.is_set()
        due_at, waits_for = back_at(self.agenda, self.limits, left, now)
        reach("slice.before_close_commit")
        slices.close(
            session,
            lease,
            due_at=due_at,
            waits_for=waits_for,
            waiting=left.in_progress,
            cancelled=cancelled,
        )

    def _turn(self, cell: Cell, now: datetime) -> None:
        """The hour is over: what was counted belongs to it, and what follows to the next."""
        in_progress = len(self.on_wire) + len(self.asked) + len(self.unsettled) + self.waiting
        with self.runtime.transaction() as session:
            self._hold(session, Tally(in_progress=in_progress), now)
            self._fold(session, in_progress=in_progress, cell=cell)
        self.cell = cell

    def _persist(
        self, work: Callable[..., T], transact: Callable[[], AbstractContextManager[Any]] | None = None
    ) -> T:
        """Run a transaction until it is committed, however long the database is away.

        Args:
            work: Given the session, whether an earlier try may have been committed, and the instant.
            transact: What it is given instead of a session; None: the runtime's transactions.

        Raises:
            LeaseLost: somebody else has the slice by now.
            sqlalchemy.exc.DBAPIError: it is away for longer than outcomes are kept.
        """
        deadline = time.monotonic() + _KEEP
        again = False
        while True:
            now = self.runtime.database.clock.now()
            try:
                if self.cell is not None and self.cell.hour != hour_of(now):
                    self._turn(self.cell._replace(hour=hour_of(now)), now)
                with (transact or self.runtime.transaction)() as session:
                    return work(session, again=again, now=now)
            except DBAPIError as error:
                if not is_connection_loss(error) or time.monotonic() > deadline:
                    raise
                log.warning("database.away", reason=str(error.orig))
                again = True
                Event().wait(0.2)
