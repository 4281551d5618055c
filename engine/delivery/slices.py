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
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import case, func, select, update

from config.errors import MusterError
from engine.delivery.rollup import NO_KEY, roll_up, rolled_up
from engine.delivery.slice_statements import SliceStatements
from engine.kernel.commands import Execute, Report
from engine.kernel.prepared import execute, execute_named
from engine.kernel.runtime import wake
from state.change import clock_of, sources_of
from state.dialects import PostgreSQL, dialect_of
from state.tables import Job, Slice
from state.transitions import JOB, JobStatus, SliceState

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from uuid import UUID

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.orm import Session

    from engine.delivery.rollup import CounterKey

__all__ = [
    "NOBODY",
    "Claims",
    "JobState",
    "Lease",
    "LeaseLost",
    "Tally",
    "claimed",
    "close",
    "count_unreached",
    "finish_if_done",
    "fold",
    "lease",
    "open_window",
    "renew",
    "set_pace",
    "wake_next",
]


class LeaseLost(MusterError):
    """Somebody else has the slice by now, or nobody may have it any more. Nothing was written."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on a slice, until it expires."""

    org_id: UUID
    campaign_id: UUID
    job_id: UUID
    number: int
    epoch: int
    pace: int | None
    """The job's narrower window, if limits gave it one."""
    limits_epoch: int
    """Which of the organization's limits were in force."""
    between_steps: int = 0
    """How many of its recipients were between two touchpoints when it was taken."""
    size: int = 0
    """Recipients that were planned into it."""
    emits_recipient_events: bool = False
    """Whether a webhook asks what becomes of single recipients."""
    one_per_address: bool = False
    """Whether no two of the campaign's recipients are written to at one address."""
    topic_id: UUID | None = None
    """What the campaign is about."""

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
    """Whether anybody is not written to at all, or not about some topic."""
    limits_epoch: int

    @property
    def may_claim(self) -> bool:
        """Whether another wave may leave. (A channel's wait is looked at when the slice is leased.)"""
        return self.status == JobStatus.PROCESSING and not self.held


def lease(
    session: Session, org_id: UUID, job_id: UUID, number: int, *, owner: str, lasts: timedelta
) -> Lease | None:
    """Take a ready, due slice of a running job; None when there is nothing to take (a repeated wake-up)."""
    now = clock_of(session).now()
    rows = execute_named(
        session,
        SliceStatements.of(session).lease,
        p_org_id=org_id,
        p_job_id=job_id,
        p_number=number,
        p_owner=owner,
        p_now=now,
        p_expires_at=now + lasts,
    )
    if not rows:
        return None
    taken = rows[0]
    return Lease(
        org_id,
        taken.campaign_id,
        job_id,
        number,
        taken.lease_epoch,
        taken.pace,
        taken.limits_epoch,
        taken.in_progress,
        taken.size,
        bool(taken.emits_recipient_events),
        bool(taken.one_per_address),
        taken.topic_id,
    )


def set_pace(session: Session, lease: Lease, pace: int | None) -> None:
    """Narrow the job's window to `pace` slices; None: as wide as it was made. Locks the job's row if it differs."""
    if pace != lease.pace:
        session.execute(
            update(Job)
            .where(Job.id == lease.job_id, Job.org_id == lease.org_id)
            .values(pace=None if pace is None else case((Job.window < pace, Job.window), else_=pace))
            .execution_options(synchronize_session=False)
        )


class Claims(NamedTuple):
    """Recipients that a lease has on the wire: a claim is that they stand on the slice."""

    entity_ids: list[UUID]
    step: int | None = None
    """How many touchpoints of the flow lie before the one that they are claimed for; None: it is the only one."""


NOBODY = Claims([])


@dataclass(frozen=True, slots=True)
class Tally:
    """What one transaction settles on a slice, in recipients."""

    success: int = 0
    failed: int = 0
    cancelled: int = 0
    sent: int = 0
    """Messages that the provider took: the successes, and those to whom more will be sent."""
    between_steps: int = 0
    """Recipients between two touchpoints when the transaction ends (not a change but the number)."""
    claims: Claims = NOBODY
    """Whom it leaves on the wire (all of them)."""

    def parameters(self) -> dict[str, Any]:
        """As statements take it."""
        return {
            "p_success": self.success,
            "p_failed": self.failed,
            "p_cancelled": self.cancelled,
            "p_sent": self.sent,
            "p_in_progress": self.in_progress,
            "p_claimed": self.claims.entity_ids,
            "p_claimed_step": self.claims.step,
        }

    @property
    def in_progress(self) -> int:
        """Recipients on the wire, or between two touchpoints, when the transaction ends."""
        return len(self.claims.entity_ids) + self.between_steps


def renew(
    session: Session, lease: Lease, *, lasts: timedelta, expected: Tally, key: CounterKey, now: datetime
) -> JobState:
    """Lock the slice under `lease` for this transaction, renew it, and say how the job stands.

    Args:
        key: What `expected` counts for; whatever else the slice has counted was folded before.
        expected: What the transaction is about to claim and to settle; written here to save a round trip, and
            corrected by `lease_writes.complete` when fewer rows were.

    Raises:
        LeaseLost: the epoch is not ours any more.
    """
    renewed = execute(
        session,
        SliceStatements.of(session).renew,
        p_org_id=lease.org_id,
        p_job_id=lease.job_id,
        p_number=lease.number,
        p_epoch=lease.epoch,
        p_expires_at=now + lasts,
        **expected.parameters(),
        **key.parameters(),
    ).first()
    if renewed is None:
        raise LeaseLost(f"slice {lease.number} of job {lease.job_id}, epoch {lease.epoch}")
    status, held, waits_until, suppresses, limits_epoch = renewed
    return JobState(status, held, waits_until, bool(suppresses), limits_epoch)


def claimed(session: Session, lease: Lease) -> set[UUID]:
    """Lock the slice under `lease`, and say whom it has on the wire.

    Raises:
        LeaseLost: the epoch is not ours any more.
    """
    found = execute(
        session,
        SliceStatements.of(session).claimed,
        p_job_id=lease.job_id,
        p_number=lease.number,
        p_epoch=lease.epoch,
    ).first()
    if found is None:
        raise LeaseLost(f"slice {lease.number} of job {lease.job_id}, epoch {lease.epoch}")
    return set(found[0] or ())


def close(
    session: Session,
    lease: Lease,
    *,
    due_at: datetime | None,
    waits_for: str | None = None,
    between_steps: int = 0,
    unreached: int = 0,
) -> None:
    """End a held lease: `due_at` None closes the slice for good, else it is ready again from then on.

    Args:
        waits_for: What keeps it: limit, throttled or quiet_hours; None: back-off, or nothing.
        between_steps: How many of its recipients are between two touchpoints.
        unreached: Recipients that stopping the job left, whom its lease did not hold.

    Folds what the slice settled into its job, wakes the next slices of the window, and ends the job when this was
    the last. Call it last in the transaction: it locks the job's row.
    """
    done = due_at is None
    state = SliceState.DONE if done else SliceState.READY
    ours: dict[str, Any] = {
        "p_job_id": lease.job_id,
        "p_number": lease.number,
        "p_in_progress": between_steps,
    }
    job_is: dict[str, Any] = {"p_org_id": lease.org_id, "p_done": int(done), "p_now": clock_of(session).now()}
    slice_is: dict[str, Any] = {
        "p_epoch": lease.epoch,
        "p_due_at": due_at,
        "p_waits_for": waits_for,
    }
    if isinstance(dialect_of(session), PostgreSQL):
        folded = execute(
            session, _given_back(SliceStatements.of(session), state), **ours, **job_is, **slice_is
        )
        job = _Folded(*folded.one())
    else:
        job = _Folded(*execute(session, SliceStatements.of(session).fold, **ours, **job_is).one())
        roll_up(session, lease.job_id, lease.number)
        execute(session, SliceStatements.of(session).close[state], **ours, **slice_is)
    count_unreached(session, lease.job_id, unreached)
    if not (job.over and finish_if_done(session, lease.org_id, lease.job_id)):
        _wake_next(session, lease.org_id, lease.job_id, job)


@cache
def _given_back(ours: SliceStatements, state: SliceState) -> Select[Any]:
    """Fold, roll up and close in one round trip (PostgreSQL), in this order: the job's row is locked first. Of the
    slice, each sees what it held before.
    """
    folded = ours.fold.cte("folded")
    once = select(folded.c.status).exists()
    rolled = rolled_up(PostgreSQL(), once=once).cte("rolled")
    return select(folded).add_cte(rolled, ours.close[state].where(once).cte("closed"))


def count_unreached(session: Session, job_id: UUID, unreached: int) -> None:
    """Count recipients that stopping the job left: cancelled, and not excluded, so that no hour's sums count them. The
    caller holds the job's row.
    """
    if not unreached:
        return
    session.execute(
        update(Job)
        .where(Job.id == job_id)
        .values(
            cancelled=Job.cancelled + unreached,
            unreached=Job.unreached + unreached,
            updated_at=clock_of(session).now(),
        )
        .execution_options(synchronize_session=False)
    )


class _Folded(NamedTuple):
    """How the job stands once a slice was folded into it."""

    status: str
    held: bool
    waits_until: datetime | None
    window: int
    over: bool = False
    """Planned, and all its slices are done."""


def fold(
    session: Session, org_id: UUID, job_id: UUID, number: int, *, in_progress: int, key: CounterKey = NO_KEY
) -> None:
    """Move what a slice that goes on has counted into the sums of its job and of the hour. The caller holds the slice;
    this locks the job.

    Args:
        in_progress: How many of its recipients are in progress now.
        key: What it counts for from here on.
    """
    _fold(session, org_id, job_id, number, done=False, in_progress=in_progress)
    execute(
        session,
        SliceStatements.of(session).reset,
        p_job_id=job_id,
        p_number=number,
        p_in_progress=in_progress,
        **key.parameters(),
    )


def _fold(
    session: Session, org_id: UUID, job_id: UUID, number: int, *, done: bool, in_progress: int
) -> _Folded:
    folded = execute(
        session,
        SliceStatements.of(session).fold,
        p_org_id=org_id,
        p_job_id=job_id,
        p_number=number,
        p_done=int(done),
        p_in_progress=in_progress,
        p_now=clock_of(session).now(),
    )
    job = _Folded(*folded.one())
    roll_up(session, job_id, number)
    return job


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
    job = session.execute(
        select(
            Job.status,
            Job.held,
            Job.waits_until,
            func.coalesce(Job.pace, Job.window),
        )
        .where(Job.id == job_id, Job.org_id == org_id)
        .with_for_update(key_share=True)
    ).one_or_none()
    return 0 if job is None else _wake_next(session, org_id, job_id, _Folded(*job))


def _wake_next(session: Session, org_id: UUID, job_id: UUID, job: _Folded) -> int:
    now = clock_of(session).now()
    if job.status != JobStatus.PROCESSING or job.held:
        return 0
    if job.waits_until is not None and job.waits_until > now:
        return 0
    woken = execute(
        session, SliceStatements.of(session).wake_next, p_job_id=job_id, p_window=job.window, p_now=now
    )
    commands = [Execute(org_id=org_id, job_id=job_id, number=number) for number in woken.scalars()]
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
