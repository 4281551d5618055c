"""How far a campaign is, from the counters that settling maintains; no recipient row is read.

A recipient is counted by one job (state/tables/delivery.py): a campaign's counts are the sums over its jobs, plus what
the leased slices of the running ones have settled and not yet folded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import case, func, select

from state.tables import Job, Slice
from state.transitions import AutomationStatus, JobStatus, SliceState

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

__all__ = ["Progress", "campaign_progress", "job_progress"]


@dataclass(frozen=True, slots=True)
class Progress:
    """Recipients by automation status, and what the numbers rest on."""

    counts: dict[str, int]
    """Every automation status → recipients."""
    total: int
    planned: bool
    """False while the audience is still being written; then `total` grows."""
    open_jobs: int
    held: bool
    waits_until: datetime | None
    waits_reason: str | None
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def processed(self) -> int:
        """Recipients with an outcome."""
        return sum(
            self.counts[status]
            for status in (AutomationStatus.SUCCESS, AutomationStatus.FAILED, AutomationStatus.CANCELLED)
        )

    @property
    def over(self) -> bool:
        """Whether every job has ended."""
        return self.open_jobs == 0


def campaign_progress(session: Session, org_id: UUID, campaign_id: UUID) -> Progress:
    """The progress of a campaign over all its jobs. Two statements whatever its size."""
    return _progress(session, Job.org_id == org_id, Job.campaign_id == campaign_id)


def job_progress(session: Session, org_id: UUID, job_id: UUID) -> Progress:
    """The progress of one job. Two statements whatever its size."""
    return _progress(session, Job.org_id == org_id, Job.id == job_id)


def _progress(session: Session, *which: ColumnElement[bool]) -> Progress:
    open_ = Job.status.in_((JobStatus.QUEUED, JobStatus.PROCESSING, JobStatus.SEND_REPORT))
    jobs = session.execute(
        select(
            func.coalesce(func.sum(Job.total), 0).label("total"),
            func.coalesce(func.sum(Job.success), 0).label("success"),
            func.coalesce(func.sum(Job.failed), 0).label("failed"),
            func.coalesce(func.sum(Job.cancelled), 0).label("cancelled"),
            func.coalesce(func.sum(case((open_ & Job.planned.is_(False), 1), else_=0)), 0).label("unplanned"),
            func.coalesce(func.sum(case((open_, 1), else_=0)), 0).label("open"),
            func.coalesce(func.sum(case((open_ & Job.held.is_(True), 1), else_=0)), 0).label("held"),
            func.min(Job.started_at).label("started_at"),
            func.max(Job.finished_at).label("finished_at"),
            func.max(case((open_, Job.waits_until))).label("waits_until"),
            func.max(case((open_ & Job.waits_until.is_not(None), Job.waits_reason))).label("waits_reason"),
        ).where(*which)
    ).one()
    # Unfolded counters exist only under a lease, and leased slices are in flight: index ix_slice_in_flight.
    slices = session.execute(
        select(
            func.coalesce(func.sum(Slice.in_progress), 0).label("in_progress"),
            func.coalesce(func.sum(Slice.success), 0).label("success"),
            func.coalesce(func.sum(Slice.failed), 0).label("failed"),
            func.coalesce(func.sum(Slice.cancelled), 0).label("cancelled"),
        )
        .join(Job, Job.id == Slice.job_id)
        .where(*which, Slice.state != SliceState.DONE, Slice.woken_at.is_not(None))
    ).one()
    counts = {
        AutomationStatus.IN_PROGRESS.value: int(slices.in_progress),
        AutomationStatus.SUCCESS.value: int(jobs.success + slices.success),
        AutomationStatus.FAILED.value: int(jobs.failed + slices.failed),
        AutomationStatus.CANCELLED.value: int(jobs.cancelled + slices.cancelled),
    }
    total = int(jobs.total)
    return Progress(
        counts={AutomationStatus.PENDING.value: total - sum(counts.values()), **counts},
        total=total,
        planned=not jobs.unplanned,
        open_jobs=int(jobs.open),
        held=bool(jobs.held),
        waits_until=jobs.waits_until,
        waits_reason=jobs.waits_reason,
        started_at=jobs.started_at,
        finished_at=jobs.finished_at,
    )
