"""A limit was changed: whoever sends learns of it with its next wave, and whoever waits for a limit goes on at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select, update

from engine.delivery import slices
from engine.limits.effective import mark_changed
from state.change import clock_of
from state.tables import Job, Slice
from state.transitions import JobStatus, SliceState

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session

__all__ = ["limits_changed"]

#: What a job or slice may be waiting for that a change of limits can end.
_ENDED = ("limit", "throttled")


def limits_changed(session: Session, org_id: UUID) -> None:
    """Let another limit of the organization take effect. Locks its row, then its jobs, then slices that wait.

    A throttled channel stays blocked: only its provider can end that.
    """
    mark_changed(session, org_id)
    now = clock_of(session).now()
    running = list(
        session.execute(
            select(Job.id)
            .where(Job.org_id == org_id, Job.status == JobStatus.PROCESSING, Job.held.is_(False))
            .order_by(Job.id)
            .with_for_update(key_share=True)
        ).scalars()
    )
    for job_id in running:
        session.execute(
            update(Job)
            .where(Job.id == job_id, Job.org_id == org_id, Job.waits_for == "limit")
            .values(waits_until=None, waits_reason=None, waits_for=None)
            .execution_options(synchronize_session=False)
        )
        # Index ix_slice_ready: those of the job that are not due yet.
        session.execute(
            update(Slice)
            .where(
                Slice.job_id == job_id,
                Slice.state == SliceState.READY,
                Slice.due_at > now,
                Slice.waits_for.in_(_ENDED),
            )
            .values(due_at=now, waits_for=None)
            .execution_options(synchronize_session=False)
        )
        slices.open_window(session, org_id, job_id)
