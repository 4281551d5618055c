"""How far a campaign is, from the counters that settling maintains; no recipient row is read.

A recipient is counted by one job (state/tables/delivery.py): a campaign's counts are the sums over its jobs, plus what
the leased slices of the running ones have settled and not yet folded.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, func, select

from state.sets import among
from state.tables import Job, Recipient, Slice
from state.transitions import OPEN, AutomationStatus, SliceState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import InstrumentedAttribute, Session

__all__ = ["Progress", "campaign_progress", "job_progress", "progress_by_campaign", "unplanned"]


@dataclass(frozen=True, slots=True)
class Progress:
    """Recipients by automation status, and what the numbers rest on."""

    counts: dict[str, int]
    """Every automation status → recipients."""
    total: int
    excluded: int
    """Of the cancelled, those who were not to be written to (suppressed, no address …), rather than those whom
    stopping a job left."""
    planned: bool
    """False while the audience is still being written; then `total` grows."""
    open_jobs: int
    held: bool
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
    def shown(self) -> dict[str, int]:
        """`counts` for people: a part that reads low during a lease is none (state/tables/delivery.py)."""
        return {status: max(0, count) for status, count in self.counts.items()}

    @property
    def unreached(self) -> int:
        """Of the cancelled, those whom stopping a job left."""
        return max(0, self.counts[AutomationStatus.CANCELLED] - self.excluded)

    @property
    def wanted(self) -> int:
        """Recipients less those who are excluded: what a percentage is of."""
        return self.total - self.excluded

    @property
    def over(self) -> bool:
        """Whether every job has ended."""
        return self.open_jobs == 0


def campaign_progress(session: Session, org_id: UUID, campaign_id: UUID) -> Progress:
    """The progress of a campaign over all its jobs. Two statements whatever its size."""
    return _gather(session, Job.campaign_id, Job.org_id == org_id, Job.campaign_id == campaign_id)[
        campaign_id
    ]


def progress_by_campaign(
    session: Session, org_id: UUID, campaign_ids: Sequence[UUID]
) -> Mapping[UUID, Progress]:
    """The progress of each of these campaigns. Two statements for all of them."""
    found = _gather(
        session, Job.campaign_id, Job.org_id == org_id, among(session, Job.campaign_id, campaign_ids)
    )
    return {campaign_id: found[campaign_id] for campaign_id in campaign_ids}


def job_progress(session: Session, org_id: UUID, job_id: UUID) -> Progress:
    """The progress of one job. Two statements whatever its size."""
    return _gather(session, Job.id, Job.org_id == org_id, Job.id == job_id)[job_id]


def unplanned(session: Session, campaign_id: UUID) -> Counter[str | None]:
    """How many recipients of a campaign no job counts, by automation status: those whom others reported, and those
    without an automation (None). Index ix_recipient_unplanned.
    """
    found = session.execute(
        select(Recipient.unsliced_status, func.count())
        .where(Recipient.campaign_id == campaign_id, Recipient.job_id.is_(None))
        .group_by(Recipient.unsliced_status)
    )
    return Counter({status: count for status, count in found})  # noqa: C416 - rows become pairs


def _gather(
    session: Session, key: InstrumentedAttribute[UUID], *which: ColumnElement[bool]
) -> defaultdict[UUID, Progress]:
    """The progress of the jobs that `which` names, put together by `key`."""
    open_ = Job.status.in_(OPEN)
    jobs = session.execute(
        select(
            key.label("key"),
            func.sum(Job.total).label("total"),
            func.sum(Job.success).label("success"),
            func.sum(Job.failed).label("failed"),
            func.sum(Job.cancelled).label("cancelled"),
            func.sum(Job.in_progress).label("in_progress"),
            func.sum(Job.unreached).label("unreached"),
            func.sum(case((open_ & Job.planned.is_(False), 1), else_=0)).label("unplanned"),
            func.sum(case((open_, 1), else_=0)).label("open"),
            func.sum(case((open_ & Job.held.is_(True), 1), else_=0)).label("held"),
            func.min(Job.started_at).label("started_at"),
            func.max(Job.finished_at).label("finished_at"),
        )
        .where(*which)
        .group_by(key)
    )
    # What is not folded is under a lease, and leased slices are in flight: index ix_slice_in_flight. Recipients that a
    # lease
    # cancelled is excluded: those whom stopping leaves are folded at once.
    leased = session.execute(
        select(
            key.label("key"),
            func.sum(Slice.in_progress - Slice.in_progress_folded).label("in_progress"),
            func.sum(Slice.success - Slice.success_folded).label("success"),
            func.sum(Slice.failed - Slice.failed_folded).label("failed"),
            func.sum(Slice.cancelled - Slice.cancelled_folded).label("cancelled"),
        )
        .join(Job, Job.id == Slice.job_id)
        .where(*which, Slice.state != SliceState.DONE, Slice.woken_at.is_not(None))
        .group_by(key)
    )
    unfolded = {row.key: row for row in leased}
    found: defaultdict[UUID, Progress] = defaultdict(_nothing)
    for job in jobs:
        found[job.key] = _progress(job, unfolded.get(job.key))
    return found


def _progress(job: Any, unfolded: Any) -> Progress:
    def both(name: str) -> int:
        return int(getattr(job, name)) + (0 if unfolded is None else int(getattr(unfolded, name)))

    cancelled = both("cancelled")
    counts = {
        AutomationStatus.IN_PROGRESS.value: both("in_progress"),
        AutomationStatus.SUCCESS.value: both("success"),
        AutomationStatus.FAILED.value: both("failed"),
        AutomationStatus.CANCELLED.value: cancelled,
    }
    total = int(job.total)
    return Progress(
        counts={AutomationStatus.PENDING.value: total - sum(counts.values()), **counts},
        total=total,
        excluded=cancelled - int(job.unreached),
        planned=not job.unplanned,
        open_jobs=int(job.open),
        held=bool(job.held),
        started_at=job.started_at,
        finished_at=job.finished_at,
    )


def _nothing() -> Progress:
    return Progress(
        counts=dict.fromkeys((status.value for status in AutomationStatus), 0),
        total=0,
        excluded=0,
        planned=True,
        open_jobs=0,
        held=False,
        started_at=None,
        finished_at=None,
    )
