"""A campaign's life: activate, pause, resume, deactivate, cancel.

Each function is one transaction of its caller's. It moves the campaign by compare-and-set, makes or stops jobs, writes
the event, and asks for the wake-up that goes out after the commit; of two callers at once, one wins.

- *Pause* holds the jobs: recipients stay pending, resume goes on with the same jobs.
- *Deactivate* and *cancel* cancel the jobs: pending recipients become cancelled (engine.delivery.cancel), and the next
  activation makes a new job for them and for whoever matches by then.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from sqlalchemy import select, update

from engine.campaigns.errors import Refusal, Refused
from engine.campaigns.next_best_actions import read_action
from engine.commands import Activate, Cancel, Retrigger
from engine.delivery import slices
from engine.delivery.enrol import guard
from engine.events.outbox import record
from engine.runtime import wake
from state.change import change_status, clock_of, sources_of
from state.errors import IllegalTransition, NotFound
from state.tables import Campaign, Job, Target, Widget
from state.transitions import CAMPAIGN, JOB, CampaignStatus, JobStatus

if TYPE_CHECKING:
    from typing import Any

    from sqlalchemy.orm import Session

__all__ = ["OPEN", "activate", "cancel", "deactivate", "pause", "resume", "toggle"]

#: Jobs that are not over.
OPEN = (JobStatus.QUEUED, JobStatus.PROCESSING, JobStatus.SEND_REPORT)
_STOPPABLE = (JobStatus.QUEUED, JobStatus.PROCESSING)


def activate(session: Session, org_id: UUID, campaign_id: UUID, *, window: int) -> Job | None:
    """Start delivering: draft, paused or completed → activating, with a new job; a held job goes on instead.

    Args:
        window: Slices of the job in flight at once at most.

    Returns:
        The job; None when there is nothing to send (it is shown only, and active at once).

    Raises:
        Refused: the first rule that forbids it, in the order of contract.md §1 "Job and token".
    """
    guard(session, org_id, activates=True)
    campaign = _campaign(session, org_id, campaign_id)
    wanted = CampaignStatus.ACTIVE if campaign.flow_id is None else CampaignStatus.ACTIVATING
    if not CAMPAIGN.allows(campaign.status, wanted):
        raise _unexpected(campaign, "active")
    targets = _targets(session, campaign)
    action = campaign.next_best_action
    if campaign.flow_id is None and action is None and not _has_widget(session, org_id, campaign_id):
        raise Refused(
            Refusal.CAMPAIGN_HAS_NO_DELIVERY_METHOD,
            f"campaign {campaign_id} has neither a flow nor a portal widget nor a next best action",
        )
    if action is not None and read_action(campaign) is None:
        raise Refused(
            Refusal.INVALID_NEXT_BEST_ACTION,
            f"campaign {campaign_id} has a next best action that nobody can show",
        )
    if campaign.flow_id is None:
        _move(session, campaign, CampaignStatus.ACTIVE, activated_at=clock_of(session).now())
        record(session, org_id, "campaign.started", campaign_id=campaign_id)
        return None
    jobs = _jobs(session, org_id, campaign_id, OPEN)
    held = [job for job in jobs if job.held]
    if jobs and not held:
        raise Refused(
            Refusal.CAMPAIGN_HAS_JOB_IN_PROGRESS, f"campaign {campaign_id} has job {jobs[0].id} in progress"
        )
    if any(job.token is None for job in held):
        raise Refused(
            Refusal.JOB_TOKEN_MISSING, f"job {held[0].id} carries no token, so it cannot be approved"
        )
    if held:
        return _go_on(session, campaign, held)
    now = clock_of(session).now()
    job = Job(
        id=uuid4(),
        org_id=org_id,
        campaign_id=campaign_id,
        kind="activation",
        token=secrets.token_urlsafe(24),
        window=window,
        flow_id=campaign.flow_id,
        target_ids=[str(target.id) for target in targets],
        touched_at=now,
        created_at=now,
        updated_at=now,
    )
    session.add(job)
    session.flush()
    _move(session, campaign, CampaignStatus.ACTIVATING, job_id=job.id, activated_at=now)
    record(session, org_id, "campaign.started", campaign_id=campaign_id, job_id=job.id)
    wake(session, Activate(org_id=org_id, job_id=job.id))
    return job


def pause(session: Session, org_id: UUID, campaign_id: UUID) -> None:
    """Hold the campaign's jobs: active or activating → paused. Nothing new is sent, nobody is given up.

    Raises:
        Refused: it is not there, or in no status that can be paused.
    """
    campaign = _campaign(session, org_id, campaign_id)
    _move(session, campaign, CampaignStatus.PAUSED)
    _hold(session, org_id, campaign_id, held=True)
    record(session, org_id, "campaign.paused", campaign_id=campaign_id)


def resume(session: Session, org_id: UUID, campaign_id: UUID, *, window: int) -> Job | None:
    """Go on after a pause with the held jobs; a paused campaign that has none is activated anew.

    Raises:
        Refused: it is not there, or not paused.
    """
    guard(session, org_id, activates=True)
    campaign = _campaign(session, org_id, campaign_id)
    if campaign.status != CampaignStatus.PAUSED:
        raise _unexpected(campaign, "resumed")
    held = [job for job in _jobs(session, org_id, campaign_id, OPEN) if job.held]
    if held:
        return _go_on(session, campaign, held)
    return activate(session, org_id, campaign_id, window=window)


def deactivate(session: Session, org_id: UUID, campaign_id: UUID) -> None:
    """Stop delivering for good: active or activating → paused, its jobs → cancelled.

    Raises:
        Refused: it is not there, is inactive already, or a job lacks the token it would be cancelled with.
    """
    campaign = _campaign(session, org_id, campaign_id)
    if not CAMPAIGN.allows(campaign.status, CampaignStatus.PAUSED):
        raise _unexpected(campaign, "inactive")
    _cancel_jobs(session, org_id, campaign_id)
    _move(session, campaign, CampaignStatus.PAUSED)
    record(session, org_id, "campaign.paused", campaign_id=campaign_id, deactivated=True)


def cancel(session: Session, org_id: UUID, campaign_id: UUID) -> None:
    """End a campaign that will not run again: anything but completed or cancelled → cancelled.

    Raises:
        Refused: see `deactivate`.
    """
    campaign = _campaign(session, org_id, campaign_id)
    if not CAMPAIGN.allows(campaign.status, CampaignStatus.CANCELLED):
        raise _unexpected(campaign, "cancelled")
    _cancel_jobs(session, org_id, campaign_id)
    _move(session, campaign, CampaignStatus.CANCELLED)
    record(session, org_id, "campaign.cancelled", campaign_id=campaign_id)


def toggle(session: Session, org_id: UUID, campaign_id: UUID, *, window: int) -> None:
    """What the documented, parameterless status call does: on when it is off, off when it is on (contract.md §1).

    Raises:
        Refused: as `activate` and `deactivate`.
    """
    guard(session, org_id, activates=True)
    campaign = _campaign(session, org_id, campaign_id)
    if campaign.status in (CampaignStatus.ACTIVE, CampaignStatus.ACTIVATING):
        deactivate(session, org_id, campaign_id)
    else:
        activate(session, org_id, campaign_id, window=window)


def _campaign(session: Session, org_id: UUID, campaign_id: UUID) -> Campaign:
    """The campaign, its row locked: every move of its life waits its turn here."""
    campaign = session.execute(
        select(Campaign)
        .where(Campaign.id == campaign_id, Campaign.org_id == org_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).scalar_one_or_none()
    if campaign is None:
        raise Refused(Refusal.CAMPAIGN_NOT_FOUND, f"campaign {campaign_id} does not exist")
    return campaign


def _unexpected(campaign: Campaign, wish: str) -> Refused:
    return Refused(
        Refusal.CAMPAIGN_HAS_UNEXPECTED_STATUS,
        f"campaign {campaign.id} is {campaign.status} and cannot be {wish}",
    )


def _move(session: Session, campaign: Campaign, wanted: CampaignStatus, **values: Any) -> None:
    now = clock_of(session).now()
    try:
        change_status(
            session,
            CAMPAIGN,
            wanted,
            Campaign.id == campaign.id,
            Campaign.org_id == campaign.org_id,
            key=campaign.id,
            updated_at=now,
            **values,
        )
    except (IllegalTransition, NotFound) as error:
        raise Refused(Refusal.CAMPAIGN_HAS_UNEXPECTED_STATUS, str(error)) from error
    session.refresh(campaign)


def _targets(session: Session, campaign: Campaign) -> list[Target]:
    wanted = [UUID(target_id) for target_id in campaign.target_ids]
    found = {
        target.id: target
        for target in session.execute(
            select(Target).where(Target.org_id == campaign.org_id, Target.id.in_(wanted))
        ).scalars()
    }
    targets = [found[target_id] for target_id in wanted if target_id in found]
    if not targets:
        raise Refused(Refusal.CAMPAIGN_HAS_NO_TARGET, f"campaign {campaign.id} has no target")
    for target in targets:
        if not ((target.entity_filters or {}).get("filter") or {}).get("items"):
            raise Refused(Refusal.TARGET_WITHOUT_FILTERS, f"target {target.id} has no filters")
    return targets


def _has_widget(session: Session, org_id: UUID, campaign_id: UUID) -> bool:
    statement = select(Widget.id).where(Widget.org_id == org_id, Widget.campaign_id == campaign_id).limit(1)
    return session.execute(statement).first() is not None


def _jobs(session: Session, org_id: UUID, campaign_id: UUID, statuses: tuple[JobStatus, ...]) -> list[Job]:
    return list(
        session.execute(
            select(Job)
            .where(Job.org_id == org_id, Job.campaign_id == campaign_id, Job.status.in_(statuses))
            .order_by(Job.created_at)
        ).scalars()
    )


def _hold(session: Session, org_id: UUID, campaign_id: UUID, *, held: bool) -> None:
    session.execute(
        update(Job)
        .where(Job.org_id == org_id, Job.campaign_id == campaign_id, Job.status.in_(OPEN))
        .values(held=held, updated_at=clock_of(session).now())
        .execution_options(synchronize_session=False)
    )


def _go_on(session: Session, campaign: Campaign, jobs: list[Job]) -> Job:
    """Let held jobs continue where they stood."""
    main = next((job for job in jobs if job.kind == "activation"), jobs[0])
    wanted = CampaignStatus.ACTIVE if main.planned else CampaignStatus.ACTIVATING
    _move(session, campaign, wanted)
    _hold(session, campaign.org_id, campaign.id, held=False)
    for job in jobs:
        if not job.planned:
            wake(session, Activate(org_id=campaign.org_id, job_id=job.id))
        elif job.status == JobStatus.QUEUED:
            wake(session, Retrigger(org_id=campaign.org_id, job_id=job.id))
        slices.open_window(session, campaign.org_id, job.id)
    record(session, campaign.org_id, "campaign.resumed", campaign_id=campaign.id, job_id=main.id)
    return main


def _cancel_jobs(session: Session, org_id: UUID, campaign_id: UUID) -> None:
    jobs = _jobs(session, org_id, campaign_id, _STOPPABLE)
    for job in jobs:
        if job.token is None:
            raise Refused(
                Refusal.JOB_TOKEN_MISSING, f"job {job.id} carries no token, so it cannot be cancelled"
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
