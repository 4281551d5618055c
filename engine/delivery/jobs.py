"""A campaign's jobs: making one, holding them, letting them go on, cancelling them.

Every function is part of its caller's transaction, which holds the campaign's row (engine.campaigns.lifecycle).
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from sqlalchemy import select, update

from engine.delivery import slices
from engine.kernel.commands import Activate, Cancel, Retrigger
from engine.kernel.rule_violations import RuleCode, RuleViolation
from engine.kernel.runtime import wake
from state.change import clock_of, sources_of
from state.tables import Job
from state.transitions import JOB, OPEN, SENDING, JobStatus

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from state.tables import Campaign, Target

__all__ = ["PRIORITIES", "cancel_jobs", "hold_jobs", "jobs_of", "new_job", "resume_jobs"]

#: How many times the usual window a job of each priority has. Wake-ups wait in one queue, first come first served, so
#: jobs share the workers in proportion to their windows: the others get less, nobody gets nothing.
PRIORITIES = {"low": 0.25, "normal": 1.0, "high": 4.0}


def jobs_of(session: Session, org_id: UUID, campaign_id: UUID, statuses: tuple[JobStatus, ...]) -> list[Job]:
    """Those of these statuses, oldest first."""
    return list(
        session.execute(
            select(Job)
            .where(Job.org_id == org_id, Job.campaign_id == campaign_id, Job.status.in_(statuses))
            .order_by(Job.created_at)
        ).scalars()
    )


def new_job(
    session: Session,
    campaign: Campaign,
    targets: list[Target],
    *,
    window: int,
    priority: str,
    reach: float,
    job_id: UUID | None,
) -> Job:
    """Make an activation job, and ask for it to be planned.

    Args:
        window: Slices of a job of normal priority in flight at once at most.
        priority: One of `PRIORITIES`.
        reach: Percent of the audience.
        job_id: None: it gets one.
    """
    now = clock_of(session).now()
    job = Job(
        id=job_id or uuid4(),
        org_id=campaign.org_id,
        campaign_id=campaign.id,
        kind="activation",
        token=secrets.token_urlsafe(24),
        window=max(1, round(window * PRIORITIES[priority])),
        priority=priority,
        reach=reach,
        flow_id=campaign.flow_id,
        target_ids=[str(target.id) for target in targets],
        touched_at=now,
        created_at=now,
        updated_at=now,
    )
    session.add(job)
    session.flush()
    wake(session, Activate(org_id=campaign.org_id, job_id=job.id))
    return job


def hold_jobs(session: Session, org_id: UUID, campaign_id: UUID, *, held: bool) -> None:
    """Hold every open job, or hold none."""
    session.execute(
        update(Job)
        .where(Job.org_id == org_id, Job.campaign_id == campaign_id, Job.status.in_(OPEN))
        .values(held=held, updated_at=clock_of(session).now())
        .execution_options(synchronize_session=False)
    )


def resume_jobs(session: Session, campaign: Campaign, jobs: list[Job]) -> None:
    """Let held jobs continue where they stood."""
    hold_jobs(session, campaign.org_id, campaign.id, held=False)
    session.execute(  # a person who resumes it has mended what it was paused for
        update(Job)
        .where(Job.org_id == campaign.org_id, Job.campaign_id == campaign.id, Job.waits_until.is_(None))
        .values(waits_for=None, waits_reason=None)
        .execution_options(synchronize_session=False)
    )
    for job in jobs:
        if not job.planned:
            wake(session, Activate(org_id=campaign.org_id, job_id=job.id))
        elif job.status == JobStatus.QUEUED:
            wake(session, Retrigger(org_id=campaign.org_id, job_id=job.id))
        slices.open_window(session, campaign.org_id, job.id)


def cancel_jobs(session: Session, org_id: UUID, campaign_id: UUID) -> None:
    """Cancel what is being delivered; recipients follow when the jobs are woken (engine.delivery.cancel).

    Raises:
        RuleViolation: a job carries no token. Nothing was changed.
    """
    jobs = jobs_of(session, org_id, campaign_id, SENDING)
    for job in jobs:
        if job.token is None:
            raise RuleViolation(
                RuleCode.JOB_TOKEN_MISSING, f"job {job.id} carries no token, so it cannot be cancelled"
            )
    now = clock_of(session).now()
    session.execute(
        update(Job)
        .where(
            Job.id.in_([job.id for job in jobs]), Job.org_id == org_id, sources_of(JOB, JobStatus.CANCELLED)
        )
        .values(status=JobStatus.CANCELLED, finished_at=now, touched_at=now, updated_at=now)
        .execution_options(synchronize_session=False)
    )
    for job in jobs:
        wake(session, Cancel(org_id=org_id, job_id=job.id))
