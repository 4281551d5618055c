"""Slices: waking, leasing, closing. A slice is 1..500 recipients of one job and the unit of claiming.

Promises:
- At most `job.window` slices of a job are woken or leased at a time, whatever the size of the audience.
- A lease has an epoch. Everything its holder writes is fenced by it: `hold` locks the slice's row for the rest of the
  transaction, so nobody can take the slice while an outcome is written, and a holder that lost it writes nothing.
- Locks are taken in one order everywhere: a leased slice, its recipients, the job, ready slices. They are of the kind
  that lets foreign keys be checked (NO KEY UPDATE): PostgreSQL checks a slice's when a transaction writes it twice, and
  two workers that share their job's row for that would each wait for the other with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import exists, func, select, update

from engine.commands import Execute, Report
from engine.delivery.statements import execute, statements
from engine.runtime import wake
from state.change import clock_of, sources_of
from state.tables import Job, Slice
from state.transitions import JOB, JobStatus, SliceState

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from uuid import UUID

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

__all__ = [
    "JobState",
    "Lease",
    "LeaseLost",
    "Tally",
    "close",
    "finish_if_done",
    "fold",
    "hold",
    "lease",
    "open_window",
    "wake_next",
]


class LeaseLost(Exception):
    """Somebody else has the slice by now, or nobody may have it any more. Nothing was written."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on a slice, until it expires."""

    org_id: UUID
    campaign_id: UUID
    job_id: UUID
    number: int
    epoch: int

    def rows(self) -> tuple[ColumnElement[bool], ...]:
        """The condition for the slice's row under this lease."""
        return (
            Slice.job_id == self.job_id,
            Slice.number == self.number,
            Slice.lease_epoch == self.epoch,
            Slice.state == SliceState.LEASED,
        )


@dataclass(frozen=True, slots=True)
class JobState:
    """What a holder must know of its job between waves."""

    status: str
    held: bool
    waits_until: datetime | None
    suppresses: bool
    """Whether the organization suppresses any address at all."""

    @property
    def may_claim(self) -> bool:
        """Whether another wave may leave. (A channel's wait is looked at when the slice is leased.)"""
        return self.status == JobStatus.PROCESSING and not self.held


def lease(
    session: Session, org_id: UUID, job_id: UUID, number: int, *, owner: str, lasts: timedelta
) -> Lease | None:
    """Take a ready, due slice of a running job; None when there is nothing to take (a repeated wake-up)."""
    now = clock_of(session).now()
    runs = exists().where(
        Job.id == job_id,
        Job.org_id == org_id,
        Job.status == JobStatus.PROCESSING,
        Job.held.is_(False),
        (Job.waits_until.is_(None)) | (Job.waits_until <= now),
    )
    taken = session.execute(
        update(Slice)
        .where(
            Slice.job_id == job_id,
            Slice.number == number,
            Slice.state == SliceState.READY,
            Slice.due_at <= now,
            runs,
        )
        .values(
            state=SliceState.LEASED,
            lease_epoch=Slice.lease_epoch + 1,
            lease_expires_at=now + lasts,
            lease_owner=owner,
            woken_at=now,
        )
        .returning(Slice.lease_epoch)
        .execution_options(synchronize_session=False)
    ).scalar_one_or_none()
    if taken is None:
        return None
    campaign_id = session.execute(
        select(Job.campaign_id).where(Job.id == job_id, Job.org_id == org_id)
    ).scalar_one()
    return Lease(org_id, campaign_id, job_id, number, taken)


@dataclass(frozen=True, slots=True)
class Tally:
    """What one transaction settles on a slice, in recipients."""

    success: int = 0
    failed: int = 0
    cancelled: int = 0
    in_flight: int = 0
    """On the wire when the transaction ends (not a change but the number)."""

    def parameters(self) -> dict[str, int]:
        """As statements take it."""
        return {
            "p_success": self.success,
            "p_failed": self.failed,
            "p_cancelled": self.cancelled,
            "p_in_flight": self.in_flight,
        }


def hold(session: Session, lease: Lease, *, lasts: timedelta, expected: Tally) -> JobState:
    """Lock the slice under `lease` for this transaction, renew it, and say how the job stands.

    Args:
        expected: What the transaction is about to settle; counted here to save a round trip, and corrected by
            `waves.settle` when fewer rows were.

    Raises:
        LeaseLost: the epoch is not ours any more.
    """
    renewed = execute(
        session,
        statements(session).hold,
        p_org_id=lease.org_id,
        p_job_id=lease.job_id,
        p_number=lease.number,
        p_epoch=lease.epoch,
        p_expires_at=clock_of(session).now() + lasts,
        **expected.parameters(),
    ).first()
    if renewed is None:
        raise LeaseLost(f"slice {lease.number} of job {lease.job_id}, epoch {lease.epoch}")
    status, held, waits_until, suppresses = renewed
    return JobState(status, held, waits_until, bool(suppresses))


def close(session: Session, lease: Lease, *, due_at: datetime | None) -> None:
    """End a held lease: `due_at` None closes the slice for good, else it is ready again from then on.

    Folds what the slice settled into its job, wakes the next slices of the window, and ends the job when this was
    the last. Call it last in the transaction: it locks the job's row.
    """
    done = due_at is None
    session.execute(
        update(Slice)
        .where(*lease.rows())
        .values(
            state=SliceState.DONE if done else SliceState.READY,
            lease_expires_at=None,
            lease_owner=None,
            woken_at=None,
            **({} if done else {"due_at": due_at}),
        )
        .execution_options(synchronize_session=False)
    )
    fold(session, lease.org_id, lease.job_id, lease.number, done=done)
    if not finish_if_done(session, lease.org_id, lease.job_id):
        wake_next(session, lease.org_id, lease.job_id)


def fold(session: Session, org_id: UUID, job_id: UUID, number: int, *, done: bool) -> None:
    """Move what a slice has settled into its job's counters. The caller holds the slice; this locks the job."""
    ours = (Slice.job_id == job_id, Slice.number == number)
    settled = session.execute(select(Slice.success, Slice.failed, Slice.cancelled).where(*ours)).one()
    session.execute(
        update(Slice)
        .where(*ours)
        .values(success=0, failed=0, cancelled=0)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        update(Job)
        .where(Job.id == job_id, Job.org_id == org_id)
        .values(
            success=Job.success + settled.success,
            failed=Job.failed + settled.failed,
            cancelled=Job.cancelled + settled.cancelled,
            slices_done=Job.slices_done + int(done),
            updated_at=clock_of(session).now(),
        )
        .execution_options(synchronize_session=False)
    )


def finish_if_done(session: Session, org_id: UUID, job_id: UUID) -> bool:
    """Move a job whose plan and slices are done to `send_report`. The caller holds the job's row."""
    over = (Job.planned.is_(True), Job.slices_done == Job.slices_total)
    moved = session.execute(
        update(Job)
        .where(Job.id == job_id, Job.org_id == org_id, *over, sources_of(JOB, JobStatus.SEND_REPORT))
        .values(status=JobStatus.SEND_REPORT, touched_at=clock_of(session).now())
        .returning(Job.id)
        .execution_options(synchronize_session=False)
    ).first()
    if moved is None:
        return False
    wake(session, Report(org_id=org_id, job_id=job_id))
    return True


def wake_next(session: Session, org_id: UUID, job_id: UUID) -> int:
    """Wake as many ready, due slices as the job's window has room for; returns how many.

    The job's row is locked, so that two workers that finish at the same time do not both fill the same room.
    """
    now = clock_of(session).now()
    job = session.execute(
        select(Job.window, Job.status, Job.held, Job.waits_until)
        .where(Job.id == job_id, Job.org_id == org_id)
        .with_for_update(key_share=True)
    ).one_or_none()
    if job is None or job.status != JobStatus.PROCESSING or job.held:
        return 0
    if job.waits_until is not None and job.waits_until > now:
        return 0
    in_flight = session.execute(
        select(func.count())
        .select_from(Slice)
        .where(Slice.job_id == job_id, Slice.state != SliceState.DONE, Slice.woken_at.is_not(None))
    ).scalar_one()
    room = job.window - in_flight
    if room <= 0:
        return 0
    # Index ix_slice_ready (job_id, due_at, number): stops after `room` rows plus those already woken. A CTE, because
    # PostgreSQL may run a locking subquery of an IN more than once, and choose more each time.
    chosen = (
        select(Slice.number)
        .where(
            Slice.job_id == job_id,
            Slice.state == SliceState.READY,
            Slice.woken_at.is_(None),
            Slice.due_at <= now,
        )
        .order_by(Slice.due_at, Slice.number)
        .limit(room)
        .with_for_update(skip_locked=True)
        .cte("chosen")
    )
    numbers = session.execute(
        update(Slice)
        .where(
            Slice.job_id == job_id,
            Slice.number.in_(select(chosen.c.number)),
            Slice.state == SliceState.READY,
        )
        .values(woken_at=now)
        .returning(Slice.number)
        .execution_options(synchronize_session=False)
    ).scalars()
    commands = [Execute(org_id=org_id, job_id=job_id, number=number) for number in numbers]
    wake(session, *commands)
    return len(commands)


def open_window(session: Session, org_id: UUID, job_id: UUID) -> None:
    """Forget earlier wake-ups of a job's ready slices (they were dropped while it was held) and wake anew."""
    session.execute(
        update(Slice)
        .where(Slice.job_id == job_id, Slice.state == SliceState.READY, Slice.woken_at.is_not(None))
        .values(woken_at=None)
        .execution_options(synchronize_session=False)
    )
    wake_next(session, org_id, job_id)
