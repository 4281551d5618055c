"""What one lease writes: its transactions, and what must be known of the slice from one to the next.

Promises:
- While the database is away nothing is forgotten: a transaction is tried again until it is committed, somebody else
  got the lease, or outcomes were kept for ten minutes.
- Every transaction holds the slice (`slices.hold`), so a lost lease writes nothing, and pausing or cancelling the job,
  or other limits, are noticed by the next.
- What was counted belongs to the touchpoint, variant and hour in which it was: before these change, it is folded.
"""

from __future__ import annotations

import time
from threading import Event
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from sqlalchemy.exc import DBAPIError

from engine.delivery import one_trip, slices, waves
from engine.delivery.rollup import NOWHERE, Cell, hour_of
from engine.delivery.slices import Tally
from engine.triggers import reach
from state.database import is_connection_loss

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from datetime import datetime
    from threading import BoundedSemaphore
    from uuid import UUID

    from sqlalchemy import Connection
    from sqlalchemy.orm import Session

    from engine.delivery.parts import Agenda
    from engine.delivery.slice_throttle import SliceThrottles
    from engine.delivery.slices import JobState, Lease
    from engine.delivery.waves import Run
    from engine.delivery.wire import Wire
    from engine.runtime import Runtime

__all__ = ["Ledger"]

log = structlog.get_logger(__name__)

T = TypeVar("T")

#: How long outcomes are kept while the database is away before the lease is given up, in seconds.
_KEEP = 600.0
#: How long it is left alone then, in seconds.
_AGAIN = 0.2


class Ledger:
    """One lease's."""

    def __init__(
        self,
        runtime: Runtime,
        lease: Lease,
        agenda: Agenda,
        throttles: SliceThrottles,
        wire: Wire,
        turns: BoundedSemaphore,
    ) -> None:
        self.cell: Cell | None = None
        """What the slice's counters count for."""
        self.waiting = lease.waiting
        """How many of the slice's recipients are between two touchpoints."""
        self.through = 0
        """Recipients that this lease is known to have delivered to for good."""
        self.stopped = False
        """Nothing more may be claimed: the job was paused or cancelled."""
        self._runtime = runtime
        self._lasts = runtime.settings.lease
        self._lease = lease
        self._agenda = agenda
        self._throttles = throttles
        self._wire = wire
        self._unsettled = wire.unsettled
        self._turns = turns

    def persist(
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
            now = self._runtime.database.clock.now()
            try:
                if self.cell is not None and self.cell.hour != hour_of(now):
                    self._end_hour(self.cell._replace(hour=hour_of(now)), now)
                with self._turns, (transact or self._runtime.transaction)() as session:
                    return work(session, again=again, now=now)
            except DBAPIError as error:
                if not is_connection_loss(error) or time.monotonic() > deadline:
                    raise
                log.warning("database.away", reason=str(error.orig))
                again = True
                Event().wait(_AGAIN)

    def _end_hour(self, cell: Cell, now: datetime) -> None:
        """The hour is over: what was counted belongs to it, and what follows to the next."""
        in_progress = len(self._wire) + len(self._unsettled) + self.waiting
        with self._turns, self._runtime.transaction() as session:
            self.hold(session, Tally(in_progress=in_progress), now)
            self._fold(session, in_progress=in_progress, cell=cell)
        self.cell = cell

    def hold(self, session: Session, expected: Tally, now: datetime) -> JobState:
        """Hold the slice for this transaction, and notice whether anything may still be claimed."""
        cell = self.cell or NOWHERE
        state = slices.hold(session, self._lease, lasts=self._lasts, expected=expected, cell=cell, now=now)
        self.stopped = not state.may_claim
        self._throttles.learn(session, state.limits_epoch)
        return state

    def settle(
        self, session: Session, expected: Tally, *, in_progress: int, now: datetime, finished: int = 0
    ) -> int:
        """Write the outcomes that are known (see `waves.settle`); returns how many of them wait for what is next."""
        waiting = waves.settle(
            session,
            self._lease,
            self._unsettled,
            expected=expected,
            in_progress=in_progress,
            now=now,
            finished=finished,
        )
        self._throttles.settle(session, self._unsettled)
        self._agenda.goes_on |= self._unsettled.goes_on(now)
        return waiting

    def count_for(self, session: Session, cell: Cell, *, in_progress: int) -> None:
        """Count for `cell` from here on. It locks the job where that is another: call it last in a transaction.

        Args:
            in_progress: How many of the slice are in progress when the transaction ends.
        """
        if cell != self.cell:
            self._fold(session, in_progress=in_progress, cell=cell)

    def _fold(self, session: Session, *, in_progress: int, cell: Cell) -> None:
        lease = self._lease
        slices.fold(session, lease.org_id, lease.job_id, lease.number, in_progress=in_progress, cell=cell)

    def flush(self) -> None:
        """Write the outcomes that are known, now."""
        self.write(self.settle_known)
        reach("settle.committed")

    def write(self, work: Callable[..., int]) -> None:
        """Persist a transaction that settles what is known.

        Args:
            work: As for `persist`; returns how many of the slice are between two touchpoints then.
        """
        self.waiting = self.persist(work)
        self._unsettled.clear()

    def settle_known(self, session: Session, *, again: bool, now: datetime) -> int:  # noqa: ARG002 - twice settles once
        """Settle what is known of a wave that others of are on the wire; a pause that is noticed halts the wire."""
        others = len(self._wire) + self.waiting
        expected = self._unsettled.tally(in_progress=others, now=now)
        self.hold(session, expected, now)
        waiting = self.settle(session, expected, in_progress=others, now=now)
        reach("settle.before_commit")
        if self.stopped:
            self._wire.halt.set()
        return self.waiting + waiting

    def is_usual(self) -> bool:
        """Whether what is known may be settled, and a wave claimed, in one round trip (`trip`)."""
        lease, unsettled = self._lease, self._unsettled
        return (
            self._runtime.database.is_postgresql
            and not (self._throttles.by_channel or lease.told or lease.waiting)
            and unsettled.stage is None
            and not (unsettled.others or unsettled.barred)
        )

    def trip(
        self, transaction: Session | Connection, wanted: list[UUID] | Run, *, again: bool, now: datetime
    ) -> one_trip.Wave:
        """Settle what is known and claim `wanted`, as `one_trip.exchange`."""
        wave = one_trip.exchange(
            transaction,
            self._lease,
            delivered=self._unsettled.keys,
            contact=self._unsettled.contact,
            wanted=wanted,
            limits_epoch=self._throttles.epoch,
            lasts=self._lasts,
            cell=self.cell or NOWHERE,
            now=now,
            again=again,
        )
        self.stopped = not wave.state.may_claim
        return wave

    def settle_last(self, session: Session, now: datetime) -> tuple[JobState, bool]:
        """Settle the last wave, for the transaction that gives the slice back; says as well whether the whole slice is
        known to be delivered.
        """
        if self.is_usual():
            wave = self.trip(session, [], again=False, now=now)
            waves.land_rest(session, self._lease, self._unsettled.delivered, wave.settled)
            return wave.state, self.through + wave.settled == self._lease.size
        expected = self._unsettled.tally(in_progress=self.waiting, now=now)
        state = self.hold(session, expected, now)
        self.settle(session, expected, in_progress=self.waiting, now=now)
        return state, False
