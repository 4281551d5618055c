"""Wind up a cancelled job: its pending recipients are recorded as cancelled, slice by slice.

The job's status stops every claim at once; this writes down what that means for each recipient. Slices that are leased
meanwhile are closed by their holders, or by the sweeper and then by this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from sqlalchemy import select, update

from state.change import clock_of, sources_of
from state.sets import among
from state.tables import Job, Recipient, Slice
from state.transitions import AUTOMATION, SLICE, AutomationStatus, JobStatus, SliceState

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.runtime import Runtime

__all__ = ["cancel"]

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
    log.info("job.wound_up", job_id=str(job_id), cancelled=total)
    return total


def _page(session: Session, org_id: UUID, job_id: UUID) -> int | None:
    """Close up to 20 slices in one transaction; None when none is ready."""
    cancelled_job = select(Job.id).where(
        Job.id == job_id, Job.org_id == org_id, Job.status == JobStatus.CANCELLED
    )
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
    cancelled = session.execute(
        update(Recipient)
        .where(
            Recipient.job_id == job_id,
            among(session, Recipient.slice_number, numbers),
            Recipient.automation_status == AutomationStatus.PENDING,
            sources_of(AUTOMATION, AutomationStatus.CANCELLED),
        )
        .values(
            automation_status=AutomationStatus.CANCELLED,
            error_code="JOB_CANCELLED",
            error_text=None,
            due_at=None,
            updated_at=now,
        )
        .execution_options(synchronize_session=False)
    ).rowcount  # type: ignore[attr-defined]
    closed = session.execute(
        update(Slice)
        .where(
            Slice.job_id == job_id, among(session, Slice.number, numbers), sources_of(SLICE, SliceState.DONE)
        )
        .values(state=SliceState.DONE, woken_at=None)
        .execution_options(synchronize_session=False)
    ).rowcount  # type: ignore[attr-defined]
    session.execute(
        update(Job)
        .where(Job.id == job_id)
        .values(
            cancelled=Job.cancelled + cancelled,
            slices_done=Job.slices_done + closed,
            touched_at=now,
            updated_at=now,
        )
        .execution_options(synchronize_session=False)
    )
    return int(cancelled)
