"""One lease's worth of work: what is due of a slice, part by part and wave by wave (see `execute` for the promises).

Who is next, and claiming them: `claims`. What was sent and is not known yet: `wire`. Writing it down: `ledger`.
"""

from __future__ import annotations

import time
from collections import Counter
from functools import partial
from threading import Event
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import select

from engine.campaigns.return_breaker import pause_for_returns
from engine.channels.port import SenderRefused
from engine.delivery import health, slices, waves
from engine.delivery.cancel import cancel_left
from engine.delivery.claims import Claims
from engine.delivery.freshness import SliceFreshness
from engine.delivery.ledger import Ledger
from engine.delivery.parts import agenda
from engine.delivery.reschedule import block_channels, next_run_at
from engine.delivery.rollup import Spot
from engine.delivery.scoped_answers import WaveFacts
from engine.delivery.sender_refused import pause_for_sender
from engine.delivery.slice_throttle import SliceThrottles
from engine.delivery.slices import Tally
from engine.delivery.wire import Wire
from engine.triggers import reach
from state.tables import Organization
from state.transitions import STOPPED, AutomationStatus

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.channels.port import Down, Message, Throttled
    from engine.delivery.execute import Executor
    from engine.delivery.parts import Part
    from engine.delivery.scoped_answers import Judgement
    from engine.delivery.sender import Sender
    from engine.delivery.slices import Lease

__all__ = ["SliceRun"]

log = structlog.get_logger(__name__)

#: How often a wave that is on the wire looks whether its job was paused or cancelled, in seconds.
_LOOK = 0.25
#: From this part of a slice's outcomes on that failed, its campaign's are looked at before the slice is done.
_SHARE = 0.05


class SliceRun:
    """One lease's."""

    def __init__(self, executor: Executor, lease: Lease, session: Session) -> None:
        """Find out what is due, in the lease's own transaction."""
        runtime, clock = executor.runtime, executor.runtime.database.clock
        now = clock.now()
        self.executor = executor
        self.lease = lease
        self.started = time.monotonic()
        steady = executor.limit_context.steady
        loaded_at = steady()
        self.flush_interval = runtime.settings.flush_interval.total_seconds()
        self.agenda = agenda(session, lease, executor.senders, now, lasts=runtime.settings.lease)
        """What is due."""
        self.throttles = SliceThrottles(executor.limit_context, lease, clock)
        self.wire = Wire(clock)
        self.ledger = Ledger(runtime, lease, self.agenda, self.throttles, self.wire, executor.turns)
        self.freshness = SliceFreshness(
            runtime.database, lease, self.agenda.course, executor.senders, steady, loaded_at, now
        )
        self.claims = Claims(
            runtime,
            lease,
            self.agenda,
            self.throttles,
            self.wire,
            self.ledger,
            self.freshness,
            executor.stopping,
        )
        self.troubles: dict[UUID, Throttled | SenderRefused | Down] = {}
        """Channels that are left alone for the rest of the lease."""
        self._failed = 0
        senders = [part.sender for part in self.agenda.parts]
        self.throttles.apply_to(session, [sender for sender in senders if sender is not None])
        if senders and senders[0] is not None:
            slices.set_pace(session, lease, self.throttles.pace(now))

    def run(self) -> None:
        """Work until the slice holds nothing due, or nothing more may be claimed; then close it."""
        try:
            for part in self.agenda.parts:
                if self._ends():
                    break
                if part.sender is None:
                    self._move(part)
                else:
                    self._send(part, part.sender)
            self.ledger.persist(self._close)
            self._pause_for_sender()
            if self.wire.counts[AutomationStatus.FAILED]:
                self._pause_for_returns()
        finally:
            self.wire.halt.set()  # whoever lost the lease must not go on sending
            self.throttles.end()
        reach("slice.closed")
        log.info("slice.closed", seconds=round(time.monotonic() - self.started, 3), **self.wire.counts)

    def _ends(self) -> bool:
        """Whether nothing more may be claimed: the job was paused or cancelled, what is sent has changed, or this
        process shuts down.
        """
        return self.ledger.stopped or self.freshness.is_outdated or self.executor.stopping.is_set()

    def _send(self, part: Part, sender: Sender) -> None:
        """Send a part, unless its channel had trouble or must wait."""
        self.wire.lead_to(sender)
        queue = [] if sender.channel_id in self.troubles else part.due
        while queue and self.claims.may_go_on():
            wave, queue = self.claims.next_wave(part, queue)
            if wave:
                self._deliver(part, sender, self.claims.claim(part, wave))
                reach("wave.sent")
        if self.wire.trouble is not None:
            self.troubles[sender.channel_id] = self.wire.trouble

    def _move(self, part: Part) -> None:
        """Let a part go on to another touchpoint: nothing is sent where it is."""
        ledger, unsettled = self.ledger, self.wire.unsettled

        def move(session: Session, *, again: bool, now: datetime) -> int:  # noqa: ARG001 - a move repeated moves nobody
            expected = unsettled.tally(in_progress=ledger.waiting, now=now)
            ledger.hold(session, expected, now)
            settled = ledger.settle(session, expected, in_progress=ledger.waiting, now=now)
            moved = part.move(session, self.lease, self.agenda.course, now)
            waiting = ledger.waiting + settled + moved.placed - len(part.waiting)
            written = Tally(success=moved.finished, in_progress=waiting)
            waves.correct(session, self.lease, written, Tally())
            return waiting

        ledger.write(move)
        self.agenda.goes_on = True

    def _deliver(self, part: Part, sender: Sender, messages: list[Message]) -> None:
        """Send a wave and take in its outcomes, flushing them as they come."""
        wire, ledger, stopping = self.wire, self.ledger, self.executor.stopping
        throttle = self.claims.throttle
        if self._ends() or (throttle is not None and not throttle.depart(messages, stopping)):
            wire.release(messages)
            return
        if not messages:
            return
        wire.halt.clear()
        taken = wire.counts["success"]
        ended = Event()
        sending = self.executor.loop.submit(sender.channel.send(messages, wire.report, wire.halt))
        sending.add_done_callback(lambda _: ended.set())
        looked = time.monotonic()
        while not ended.wait(self.flush_interval):
            wire.take_arrivals()
            if stopping.is_set():
                wire.halt.set()
            now = time.monotonic()
            if wire.unsettled or now - looked >= _LOOK:
                ledger.flush()
                looked = now
        wire.take_arrivals()
        wire.doubt_rest(sending)
        taken = wire.counts["success"] - taken
        self.executor.meter.note(sender.channel_id, taken, time.monotonic())
        if wire.scoped:
            self._judge(sender, messages)
        if part.probing and wire.trouble is None:
            self._recover(sender)
            part.probing = False
        self._look_at_returns()

    def _judge(self, sender: Sender, wave: list[Message]) -> None:
        """Slow down what asked for it in a wave that has ended, and go by the rates that were found."""
        throttle = self.claims.throttle
        alone = {} if throttle is None else throttle.effective.domains
        facts = WaveFacts(
            self.lease,
            sender.channel_id,
            wave,
            None if throttle is None else throttle.effective,
            self.wire.counts["success"],
            time.monotonic() - self.started,
            self.executor.meter.rate(sender.channel_id, time.monotonic()),
            group_of=partial(self.executor.limit_context.providers.group_of, alone=alone),
            takes=self.executor.meter.took_lately(sender.channel_id, time.monotonic()),
        )

        def judge(session: Session, *, again: bool, now: datetime) -> Judgement:  # noqa: ARG001 - twice counts once
            return self.wire.scoped.judge(session, facts, self.executor.coincidences, now)

        def learn(session: Session, *, again: bool, now: datetime) -> None:  # noqa: ARG001 - it reads
            epoch = select(Organization.limits_epoch).where(Organization.id == self.lease.org_id)
            self.throttles.learn(session, session.execute(epoch).scalar_one())

        judgement = self.ledger.persist(judge)
        self.wire.accept(judgement.verdicts)
        self.wire.trouble = self.wire.trouble or judgement.trouble
        self.ledger.persist(learn)
        if judgement.first_rate:
            self.throttles.begin_empty(sender.channel_id)

    def _pause_for_sender(self) -> None:
        """Pause the campaign whose sender is refused: everybody is pending, and the reason says what to mend."""
        refused = next((one for one in self.troubles.values() if isinstance(one, SenderRefused)), None)
        if refused is not None:
            with self.executor.runtime.transaction() as session:
                pause_for_sender(session, self.lease, refused)

    def _look_at_returns(self) -> None:
        """See within a slice whether most of what it sends comes back."""
        counts = self.wire.counts
        failed, outcomes = counts[AutomationStatus.FAILED], counts.total()
        if failed > self._failed and failed >= _SHARE * outcomes:
            self._failed = failed
            self.ledger.flush()
            self._pause_for_returns()

    def _pause_for_returns(self) -> None:
        """Pause the campaign if too many of its messages were refused."""
        with self.executor.runtime.transaction() as session:
            pause_for_returns(session, self.lease.org_id, self.lease.campaign_id)

    def _recover(self, sender: Sender) -> None:
        """The provider answers again: the breaker closes, for everybody."""

        def recover(session: Session, *, again: bool, now: datetime) -> int:
            waiting = self.ledger.settle_known(session, again=again, now=now)
            health.recover(session, self.lease, sender.channel_id)
            return waiting

        self.ledger.write(recover)

    def _close(self, session: Session, *, again: bool, now: datetime) -> None:  # noqa: ARG002 - once closed it is lost
        """Settle the last wave and give the slice back: done, or ready when its next recipient is due."""
        lease, wire, throttles = self.lease, self.wire, self.throttles.by_channel
        state, delivered = self.ledger.settle_last(session, now)
        block_channels(
            session,
            lease,
            self.agenda,
            self.troubles,
            throttles,
            observed=wire.counts["success"] / max(time.monotonic() - self.started, 0.1),
            jitter=wire.jitter,
            now=now,
        )
        cancelled = Counter[Spot]()
        if state.status in STOPPED:
            cancelled = cancel_left(session, lease.org_id, lease.job_id, [lease.number], now)
        left = waves.NOBODY_LEFT if delivered else waves.left(session, lease, now)
        self.agenda.goes_on |= self._ends()
        due_at, waits_for = next_run_at(self.agenda, throttles, left, now)
        reach("slice.before_close_commit")
        slices.close(
            session,
            lease,
            due_at=due_at,
            waits_for=waits_for,
            waiting=left.in_progress,
            cancelled=cancelled,
        )
