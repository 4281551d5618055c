"""Wind up a job that was cancelled or failed: who is left is recorded as cancelled, slice by slice.

The job's status stops every claim at once; this writes down what that means for each recipient. Slices that are leased
meanwhile are closed by their holders, or by the sweeper and then by this: the sweeper calls until nothing is left.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import Integer, case, func, select, update

from engine.delivery import slices
from engine.delivery.cancel_codes import JOB_CANCELLED
from state.change import clock_of, sources_of
from state.sets import among, rows
from state.tables import Job, Recipient, Slice
from state.transitions import AUTOMATION, SLICE, STOPPED, AutomationStatus, SliceState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.kernel.runtime import Runtime

__all__ = ["cancel", "cancel_left"]

log = structlog.get_logger(__name__)

_SLICES = 20


def cancel(runtime: Runtime, org_id: UUID, job_id: UUID) -> int:
    """Close every ready slice of a cancelled job; returns how many recipients became cancelled."""
    total = 0
    while True:
        with runtime.transaction() as session:
            page = _page(session, org_id, job_id)
        if page is None:
            break
        total += page
    with runtime.transaction() as session:
        ended = _end(session, org_id, job_id)
    if ended:
        log.info("job.wound_up", job_id=str(job_id), cancelled=total)
    return total


def _page(session: Session, org_id: UUID, job_id: UUID) -> int | None:
    """Close up to 20 slices in one transaction; returns how many recipients became cancelled, None when none was
    closed.
    """
    cancelled_job = select(Job.id).where(Job.id == job_id, Job.org_id == org_id, Job.status.in_(STOPPED))
    numbers = (
        session.execute(
            select(Slice.number)
            .where(Slice.job_id.in_(cancelled_job), Slice.state == SliceState.READY)
            .order_by(Slice.number)
            .limit(_SLICES)
            .with_for_update(skip_locked=True)
        )
        .scalars()
        .all()
    )
    if not numbers:
        return None
    now = clock_of(session).now()
    unreached = cancel_left(session, job_id, numbers, now)
    counted = (Slice.job_id == job_id, among(session, Slice.number, numbers))
    between = session.execute(select(func.sum(Slice.in_progress_folded)).where(*counted)).scalar_one()
    closed = session.execute(
        update(Slice)
        .where(*counted, sources_of(SLICE, SliceState.DONE))
        .values(state=SliceState.DONE, woken_at=None, in_progress=0, in_progress_folded=0)
        .execution_options(synchronize_session=False)
    ).rowcount  # type: ignore[attr-defined]
    session.execute(
        update(Job)
        .where(Job.id == job_id)
        .values(
            slices_done=Job.slices_done + closed,
            in_progress=Job.in_progress - between,
            touched_at=now,
            updated_at=now,
        )
        .execution_options(synchronize_session=False)
    )
    slices.count_unreached(session, job_id, unreached)
    return unreached if closed else None


def _end(session: Session, org_id: UUID, job_id: UUID) -> bool:
    """Let the sweeper forget the job, if all its slices are closed."""
    over = (Job.status.in_(STOPPED), Job.slices_done == Job.slices_total)
    ended = session.execute(
        update(Job)
        .where(Job.id == job_id, Job.org_id == org_id, *over)
        .values(touched_at=None)
        .returning(Job.id)
        .execution_options(synchronize_session=False)
    )
    return ended.first() is not None


def cancel_left(session: Session, job_id: UUID, numbers: Sequence[int], now: datetime) -> int:
    """Record who is left of a cancelled job's slices as cancelled: pending, or between two touchpoints. Nobody is
    claimed. The slices, which the caller holds, count them; returns how many there were, to be counted by the job.

    Recipients that waited for a touchpoint keep the time it was due: activated again, they go on there and then.
    """
    numbers_left = session.scalars(
        update(Recipient)
        .where(
            Recipient.job_id == job_id,
            among(session, Recipient.slice_number, numbers),
            sources_of(AUTOMATION, AutomationStatus.CANCELLED),
        )
        .values(
            automation_status=AutomationStatus.CANCELLED,
            error_code=JOB_CANCELLED,
            error_text=None,
            due_at=case((Recipient.step > 0, Recipient.due_at)),
            updated_at=now,
        )
        .returning(Recipient.slice_number)
        .execution_options(synchronize_session=False)
    ).all()
    _count(session, job_id, Counter(numbers_left))
    return len(numbers_left)


def _count(session: Session, job_id: UUID, cancelled: Counter[int | None]) -> None:
    """Count recipients, by the number of their slice, as cancelled and known to the job."""
    if not cancelled:
        return
    given = rows(session, {"number": Integer, "count": Integer}, list(cancelled.items()))
    session.execute(
        update(Slice)
        .where(Slice.job_id == job_id, Slice.number == given.c.number)
        .values(
            cancelled=Slice.cancelled + given.c.count, cancelled_folded=Slice.cancelled_folded + given.c.count
        )
        .execution_options(synchronize_session=False)
    )
