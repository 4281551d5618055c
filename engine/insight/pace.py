"""How fast a campaign goes, over the last minute.

The sweeper notes every few seconds how many recipients of each running job have an outcome; the rate is what has
been added since the oldest note within the window. Workers know nothing of it, so it costs delivery nothing; a rate
that nobody noted is measured from the job's start.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete, exists, func, insert, literal, select

from state.change import clock_of
from state.tables import Job, JobPace, Slice
from state.transitions import JobStatus, SliceState

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import ScalarSelect
    from sqlalchemy.orm import Session

    from engine.insight.progress import Progress

__all__ = ["WINDOW", "note_pace", "per_minute", "recent_pace"]

#: What the rate is measured over.
WINDOW = timedelta(minutes=1)
#: Between two notes of a job at least.
_EVERY = timedelta(seconds=5)
_KEPT = timedelta(minutes=5)


def note_pace(session: Session) -> None:
    """Note how far every running job is, and forget what is old. Two statements; index ix_job_open, and
    ix_slice_in_flight for what leased slices have not folded yet.
    """
    now = clock_of(session).now()
    lately = exists().where(JobPace.job_id == Job.id, JobPace.at > now - _EVERY)
    session.execute(
        insert(JobPace).from_select(
            ["job_id", "at", "processed"],
            select(Job.id, literal(now, JobPace.at.type), Job.success + Job.failed + _unfolded()).where(
                Job.status == JobStatus.PROCESSING, ~lately
            ),
        )
    )
    session.execute(
        delete(JobPace).where(JobPace.at < now - _KEPT).execution_options(synchronize_session=False)
    )


def per_minute(session: Session, org_id: UUID, campaign_id: UUID, progress: Progress) -> float:
    """Recipients a minute that got their outcome, success or failure, lately; 0 while nothing runs."""
    if progress.over or progress.held:
        return 0.0
    now = clock_of(session).now()
    first = (
        select(JobPace.job_id, func.min(JobPace.at).label("at"))
        .join(Job, Job.id == JobPace.job_id)
        .where(
            Job.org_id == org_id,
            Job.campaign_id == campaign_id,
            Job.status == JobStatus.PROCESSING,
            JobPace.at >= now - WINDOW,
        )
        .group_by(JobPace.job_id)
        .subquery("first")
    )
    noted = session.execute(
        select(func.min(first.c.at), func.coalesce(func.sum(JobPace.processed), 0)).join(
            JobPace, (JobPace.job_id == first.c.job_id) & (JobPace.at == first.c.at)
        )
    ).one()
    since, before = noted
    done = _running(session, org_id, campaign_id)
    if since is None:
        since, before = progress.started_at, 0
    if since is None:
        return 0.0
    return _rate(done - int(before), now - since)


def recent_pace(session: Session, org_id: UUID, campaign_id: UUID) -> list[tuple[datetime, float]]:
    """What a campaign's jobs did in the last five minutes: the end of each interval between two notes, oldest first,
    and outcomes a second within it. One statement; primary key (job_id, at).
    """
    mine = select(Job.id).where(Job.org_id == org_id, Job.campaign_id == campaign_id)
    notes = session.execute(
        select(JobPace.job_id, JobPace.at, JobPace.processed)
        .where(JobPace.job_id.in_(mine), JobPace.at > clock_of(session).now() - _KEPT)
        .order_by(JobPace.at)
    )
    before: dict[UUID, tuple[datetime, int]] = {}
    rates: dict[datetime, float] = {}
    for job_id, at, processed in notes:
        earlier = before.get(job_id)
        if earlier is not None:
            seconds = (at - earlier[0]).total_seconds()
            rates[at] = rates.get(at, 0.0) + (max(0, processed - earlier[1]) / seconds if seconds > 0 else 0)
        before[job_id] = (at, processed)
    return sorted(rates.items())


def _running(session: Session, org_id: UUID, campaign_id: UUID) -> int:
    """Outcomes of the campaign's running jobs."""
    statement = select(func.coalesce(func.sum(Job.success + Job.failed + _unfolded()), 0)).where(
        Job.org_id == org_id, Job.campaign_id == campaign_id, Job.status == JobStatus.PROCESSING
    )
    return int(session.execute(statement).scalar_one())


def _unfolded() -> ScalarSelect[int]:
    """Outcomes that leased slices of a job have not folded yet. Index ix_slice_in_flight."""
    outcomes = Slice.success - Slice.success_folded + Slice.failed - Slice.failed_folded
    return (
        select(func.coalesce(func.sum(outcomes), 0))
        .where(Slice.job_id == Job.id, Slice.state != SliceState.DONE, Slice.woken_at.is_not(None))
        .scalar_subquery()
    )


def _rate(count: int, span: timedelta) -> float:
    seconds = span.total_seconds()
    return max(0, count) * 60 / seconds if seconds > 0 else 0.0
