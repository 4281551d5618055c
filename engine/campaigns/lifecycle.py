"""A campaign's life: activate, run, pause, resume, deactivate, complete, cancel, fail.

Each function is one transaction of its caller's. It moves the campaign by compare-and-set, makes or stops jobs, writes
the event, and asks for the wake-up that goes out after the commit; of two callers at once, one wins.

- *Pause* holds the jobs: recipients stay pending, resume goes on with the same jobs.
- *Deactivate* and *cancel* cancel the jobs: pending recipients become cancelled (engine.delivery.cancel), and the next
  activation makes a new job for them and for those who match by then.
- A campaign may be told to reach a part of its audience only (`reach`, in percent; state.sampling). Then it stays
  active when that part is delivered, and another run reaches more. Active with a reach of 0, it waits to be executed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.campaigns import schedules
from engine.campaigns.readiness import check, deliverable, targets_of
from engine.delivery.campaign_moves import locked, move, pause
from engine.delivery.enrol import guard
from engine.delivery.jobs import cancel_jobs, jobs_of, new_job, resume_jobs
from engine.events.outbox import record
from engine.kernel.rule_violations import RuleCode, RuleViolation
from state.change import clock_of
from state.transitions import CAMPAIGN, OPEN, CampaignStatus

if TYPE_CHECKING:
    from typing import Any
    from uuid import UUID

    from sqlalchemy.orm import Session

    from state.tables import Campaign, Job

__all__ = [
    "EVERYBODY",
    "activate",
    "cancel",
    "complete",
    "deactivate",
    "open_without_run",
    "pause",
    "resume",
    "run",
    "toggle",
]

#: A reach, in percent.
EVERYBODY = 100.0


def activate(
    session: Session,
    org_id: UUID,
    campaign_id: UUID,
    *,
    window: int,
    priority: str = "normal",
    reach: float = EVERYBODY,
    job_id: UUID | None = None,
    event: str = "campaign.started",
) -> Job | None:
    """Start delivering: draft, paused or completed → activating, with a new job; a held job goes on instead.

    Args:
        window: Slices of a job of normal priority in flight at once at most.
        priority: One of `jobs.PRIORITIES`.
        reach: Percent of the audience.
        job_id: The new job's id, where it is known beforehand.
        event: What is recorded of a new job.

    Returns:
        The job; None when there is nothing to send (it is shown only, and active at once).

    Raises:
        RuleViolation: the first rule that forbids it, in the order of docs/contract/targeting.md "The job".
    """
    guard(session, org_id, activates=True)
    campaign = locked(session, org_id, campaign_id)
    wanted = CampaignStatus.ACTIVE if campaign.flow_id is None else CampaignStatus.ACTIVATING
    if not CAMPAIGN.allows(campaign.status, wanted):
        raise _unexpected(campaign, "active")
    targets = deliverable(session, campaign)
    if campaign.flow_id is None:
        move(session, campaign, CampaignStatus.ACTIVE, activated_at=clock_of(session).now(), reach=reach)
        record(session, org_id, event, campaign_id=campaign_id)
        return None
    jobs = jobs_of(session, org_id, campaign_id, OPEN)
    held = [job for job in jobs if job.held]
    if jobs and not held:
        raise _in_progress(campaign, jobs[0])
    if any(job.token is None for job in held):
        raise RuleViolation(
            RuleCode.JOB_TOKEN_MISSING, f"job {held[0].id} carries no token, so it cannot be approved"
        )
    if held:
        return _go_on(session, campaign, held)
    job = new_job(session, campaign, targets, window=window, priority=priority, reach=reach, job_id=job_id)
    move(
        session,
        campaign,
        CampaignStatus.ACTIVATING,
        job_id=job.id,
        activated_at=clock_of(session).now(),
        reach=reach,
    )
    record(session, org_id, event, campaign_id=campaign_id, job_id=job.id)
    return job


def run(
    session: Session,
    org_id: UUID,
    campaign_id: UUID,
    *,
    window: int,
    priority: str,
    reach: float,
    job_id: UUID | None = None,
) -> Job:
    """Execute (docs/contract/campaigns-api.md): a draft is activated; an active campaign without a job in progress
    gets another one,
    for those within reach who have had nothing yet.

    Args:
        reach: Percent of the audience, counted from its beginning: 50 after 20 sends to the next 30. What was reached
            before is never taken back.

    Raises:
        RuleViolation: the first rule that forbids it; a campaign that only shows something has nothing to execute.
    """
    guard(session, org_id, activates=True)
    campaign = locked(session, org_id, campaign_id)
    if campaign.status not in (CampaignStatus.DRAFT, CampaignStatus.ACTIVE, CampaignStatus.ACTIVATING):
        raise _unexpected(campaign, "executed")
    jobs = jobs_of(session, org_id, campaign_id, OPEN)
    if jobs:
        raise _in_progress(campaign, jobs[0])
    if campaign.status == CampaignStatus.DRAFT:
        check(session, campaign)
        job = activate(
            session, org_id, campaign_id, window=window, priority=priority, reach=reach, job_id=job_id
        )
        assert job is not None  # noqa: S101 - it has a flow
        return job
    check(session, campaign)
    targets = targets_of(session, campaign)
    wide = max(reach, campaign.reach)
    job = new_job(session, campaign, targets, window=window, priority=priority, reach=wide, job_id=job_id)
    now = clock_of(session).now()
    campaign.job_id, campaign.reach, campaign.activated_at, campaign.updated_at = job.id, wide, now, now
    session.flush()
    record(session, org_id, "campaign.started", campaign_id=campaign_id, job_id=job.id)
    return job


def open_without_run(session: Session, org_id: UUID, campaign_id: UUID) -> None:
    """Draft → active without sending anything: it may be executed, and nobody joins before
    (docs/contract/campaigns-api.md).

    Raises:
        RuleViolation: it is not there, or no draft.
    """
    guard(session, org_id, activates=True)
    campaign = locked(session, org_id, campaign_id)
    if campaign.status != CampaignStatus.DRAFT:
        raise _unexpected(campaign, "opened")
    move(session, campaign, CampaignStatus.ACTIVE, activated_at=clock_of(session).now(), reach=0.0)
    record(session, org_id, "campaign.active", campaign_id=campaign_id)


def resume(session: Session, org_id: UUID, campaign_id: UUID, *, window: int) -> Job | None:
    """Go on after a pause with the held jobs. A paused campaign that has none is activated anew, as far as it was told
    to reach; where that is nobody, it is open as before.

    Raises:
        RuleViolation: it is not there, or not paused.
    """
    guard(session, org_id, activates=True)
    campaign = locked(session, org_id, campaign_id)
    if campaign.status != CampaignStatus.PAUSED:
        raise _unexpected(campaign, "resumed")
    held = [job for job in jobs_of(session, org_id, campaign_id, OPEN) if job.held]
    if held:
        return _go_on(session, campaign, held)
    if campaign.reach > 0:
        return activate(
            session, org_id, campaign_id, window=window, reach=campaign.reach, event="campaign.resumed"
        )
    move(session, campaign, CampaignStatus.ACTIVE)
    record(session, org_id, "campaign.resumed", campaign_id=campaign_id)
    return None


def deactivate(session: Session, org_id: UUID, campaign_id: UUID) -> None:
    """Stop delivering for good: active or activating → paused, its jobs → cancelled.

    Raises:
        RuleViolation: it is not there, is inactive already, or a job lacks the token it would be cancelled with.
    """
    _stop(
        session,
        org_id,
        campaign_id,
        CampaignStatus.PAUSED,
        "inactive",
        paused_at=clock_of(session).now(),
        paused_by=None,
    )
    record(session, org_id, "campaign.paused", campaign_id=campaign_id, deactivated=True)


def cancel(session: Session, org_id: UUID, campaign_id: UUID) -> None:
    """End a campaign that will not run again: anything but completed or cancelled → cancelled.

    Raises:
        RuleViolation: see `deactivate`.
    """
    _stop(session, org_id, campaign_id, CampaignStatus.CANCELLED, "cancelled")
    schedules.call_off(session, org_id, campaign_id, "the campaign was cancelled")
    record(session, org_id, "campaign.cancelled", campaign_id=campaign_id)


def complete(session: Session, org_id: UUID, campaign_id: UUID) -> None:
    """End a campaign that has done what it was for: active or paused → completed, its jobs → cancelled.

    Raises:
        RuleViolation: see `deactivate`.
    """
    _stop(session, org_id, campaign_id, CampaignStatus.COMPLETED, "completed")
    schedules.call_off(session, org_id, campaign_id, "the campaign was completed")
    record(session, org_id, "campaign.completed", campaign_id=campaign_id, reason="told")


def _stop(
    session: Session, org_id: UUID, campaign_id: UUID, wanted: CampaignStatus, wish: str, **values: Any
) -> None:
    """Give up what is under way: the campaign → `wanted`, its jobs → cancelled."""
    campaign = locked(session, org_id, campaign_id)
    if not CAMPAIGN.allows(campaign.status, wanted):
        raise _unexpected(campaign, wish)
    cancel_jobs(session, org_id, campaign_id)
    move(session, campaign, wanted, **values)


def toggle(session: Session, org_id: UUID, campaign_id: UUID, *, window: int) -> None:
    """What the documented, parameterless status call does: on when it is off, off when it is on
    (docs/contract/targeting.md).

    Raises:
        RuleViolation: as `activate` and `deactivate`.
    """
    guard(session, org_id, activates=True)
    campaign = locked(session, org_id, campaign_id)
    if campaign.status in (CampaignStatus.ACTIVE, CampaignStatus.ACTIVATING):
        deactivate(session, org_id, campaign_id)
    else:
        activate(session, org_id, campaign_id, window=window)


def _unexpected(campaign: Campaign, wish: str) -> RuleViolation:
    return RuleViolation(
        RuleCode.CAMPAIGN_HAS_UNEXPECTED_STATUS,
        f"campaign {campaign.id} is {campaign.status} and cannot be {wish}",
    )


def _in_progress(campaign: Campaign, job: Job) -> RuleViolation:
    return RuleViolation(
        RuleCode.CAMPAIGN_HAS_JOB_IN_PROGRESS, f"campaign {campaign.id} has job {job.id} in progress"
    )


def _go_on(session: Session, campaign: Campaign, jobs: list[Job]) -> Job:
    """Let held jobs continue where they stood."""
    main = next((job for job in jobs if job.kind == "activation"), jobs[0])
    wanted = CampaignStatus.ACTIVE if main.planned else CampaignStatus.ACTIVATING
    move(session, campaign, wanted)
    resume_jobs(session, campaign, jobs)
    record(session, campaign.org_id, "campaign.resumed", campaign_id=campaign.id, job_id=main.id)
    return main
