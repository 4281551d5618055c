"""A campaign's life: activate, run, pause, resume, deactivate, complete, cancel, fail.

Each function is one transaction of its caller's. It moves the campaign by compare-and-set, makes or stops jobs, writes
the event, and asks for the wake-up that goes out after the commit; of two callers at once, one wins.

- *Pause* holds the jobs: recipients stay pending, resume goes on with the same jobs.
- *Deactivate* and *cancel* cancel the jobs: pending recipients become cancelled (engine.delivery.cancel), and the next
  activation makes a new job for them and for whoever matches by then.
- A campaign may be told to reach a part of its audience only (`reach`, in percent; state.sampling). Then it stays
  active when that part is delivered, and another run reaches more. Active with a reach of 0, it waits to be executed.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from sqlalchemy import select, update

from engine import listing
from engine.audience.targets import has_filters
from engine.campaigns import schedules
from engine.campaigns.configuration import settle
from engine.campaigns.errors import Refusal, Refused
from engine.campaigns.next_best_actions import read_action
from engine.commands import Activate, Cancel, Retrigger
from engine.delivery import slices
from engine.delivery.enrol import guard
from engine.delivery.named import has_named
from engine.events.outbox import record
from engine.runtime import wake
from state.change import change_status, clock_of, sources_of
from state.errors import IllegalTransition, NotFound
from state.tables import Campaign, Job, Target, Widget
from state.transitions import CAMPAIGN, JOB, OPEN, SENDING, CampaignStatus, JobStatus

if TYPE_CHECKING:
    from typing import Any

    from sqlalchemy.orm import Session

__all__ = [
    "EVERYBODY",
    "PRIORITIES",
    "activate",
    "cancel",
    "check",
    "complete",
    "deactivate",
    "locked",
    "open_without_run",
    "pause",
    "resume",
    "run",
    "toggle",
]

#: A reach, in percent.
EVERYBODY = 100.0
#: How many times the usual window a job of each priority has. Wake-ups wait in one queue, first come first served, so
#: jobs share the workers in proportion to their windows: the others get less, nobody gets nothing.
PRIORITIES = {"low": 0.25, "normal": 1.0, "high": 4.0}


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
        priority: One of `PRIORITIES`.
        reach: Percent of the audience.
        job_id: The new job's id, where it is known beforehand.
        event: What is recorded of a new job.

    Returns:
        The job; None when there is nothing to send (it is shown only, and active at once).

    Raises:
        Refused: the first rule that forbids it, in the order of contract.md §1 "Job and token".
    """
    guard(session, org_id, activates=True)
    campaign = locked(session, org_id, campaign_id)
    wanted = CampaignStatus.ACTIVE if campaign.flow_id is None else CampaignStatus.ACTIVATING
    if not CAMPAIGN.allows(campaign.status, wanted):
        raise _unexpected(campaign, "active")
    targets = _deliverable(session, campaign)
    if campaign.flow_id is None:
        _move(session, campaign, CampaignStatus.ACTIVE, activated_at=clock_of(session).now(), reach=reach)
        record(session, org_id, event, campaign_id=campaign_id)
        return None
    jobs = _jobs(session, org_id, campaign_id, OPEN)
    held = [job for job in jobs if job.held]
    if jobs and not held:
        raise _in_progress(campaign, jobs[0])
    if any(job.token is None for job in held):
        raise Refused(
            Refusal.JOB_TOKEN_MISSING, f"job {held[0].id} carries no token, so it cannot be approved"
        )
    if held:
        return _go_on(session, campaign, held)
    job = _new_job(session, campaign, targets, window=window, priority=priority, reach=reach, job_id=job_id)
    _move(
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
    """Execute (contract.md §3): a draft is activated; an active campaign without a job in progress gets another one,
    for whoever is within reach and has had nothing yet.

    Args:
        reach: Percent of the audience, counted from its beginning: 50 after 20 sends to the next 30. What was reached
            before is never taken back.

    Raises:
        Refused: the first rule that forbids it; a campaign that only shows something has nothing to execute.
    """
    guard(session, org_id, activates=True)
    campaign = locked(session, org_id, campaign_id)
    if campaign.status not in (CampaignStatus.DRAFT, CampaignStatus.ACTIVE, CampaignStatus.ACTIVATING):
        raise _unexpected(campaign, "executed")
    jobs = _jobs(session, org_id, campaign_id, OPEN)
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
    targets = _targets(session, campaign)
    wide = max(reach, campaign.reach)
    job = _new_job(session, campaign, targets, window=window, priority=priority, reach=wide, job_id=job_id)
    now = clock_of(session).now()
    campaign.job_id, campaign.reach, campaign.activated_at, campaign.updated_at = job.id, wide, now, now
    session.flush()
    record(session, org_id, "campaign.started", campaign_id=campaign_id, job_id=job.id)
    return job


def check(session: Session, campaign: Campaign) -> None:
    """Whether a campaign could be executed, apart from its status and what runs.

    Raises:
        Refused: it lacks an audience or a message.
    """
    _targets(session, campaign)
    if campaign.flow_id is None:
        raise _nothing_to_send(campaign, "has no message")
    settle(session, campaign)


def open_without_run(session: Session, org_id: UUID, campaign_id: UUID) -> None:
    """Draft → active without sending anything: it may be executed, and nobody joins before (contract.md §3).

    Raises:
        Refused: it is not there, or no draft.
    """
    guard(session, org_id, activates=True)
    campaign = locked(session, org_id, campaign_id)
    if campaign.status != CampaignStatus.DRAFT:
        raise _unexpected(campaign, "opened")
    _move(session, campaign, CampaignStatus.ACTIVE, activated_at=clock_of(session).now(), reach=0.0)
    record(session, org_id, "campaign.active", campaign_id=campaign_id)


def pause(session: Session, org_id: UUID, campaign_id: UUID, *, by: str | None = None) -> None:
    """Hold the campaign's jobs: active or activating → paused. Nothing new is sent, nobody is given up.

    Args:
        by: Who or what pauses it, for whoever asks why it does not move.

    Raises:
        Refused: it is not there, or in no status that can be paused.
    """
    campaign = locked(session, org_id, campaign_id)
    _move(session, campaign, CampaignStatus.PAUSED, paused_at=clock_of(session).now(), paused_by=by)
    _hold(session, org_id, campaign_id, held=True)
    said: dict[str, Any] = {} if by is None else {"by": by}
    record(session, org_id, "campaign.paused", campaign_id=campaign_id, **said)


def resume(session: Session, org_id: UUID, campaign_id: UUID, *, window: int) -> Job | None:
    """Go on after a pause with the held jobs. A paused campaign that has none is activated anew, as far as it was told
    to reach; where that is nobody, it is open as before.

    Raises:
        Refused: it is not there, or not paused.
    """
    guard(session, org_id, activates=True)
    campaign = locked(session, org_id, campaign_id)
    if campaign.status != CampaignStatus.PAUSED:
        raise _unexpected(campaign, "resumed")
    held = [job for job in _jobs(session, org_id, campaign_id, OPEN) if job.held]
    if held:
        return _go_on(session, campaign, held)
    if campaign.reach > 0:
        return activate(
            session, org_id, campaign_id, window=window, reach=campaign.reach, event="campaign.resumed"
        )
    _move(session, campaign, CampaignStatus.ACTIVE)
    record(session, org_id, "campaign.resumed", campaign_id=campaign_id)
    return None


def deactivate(session: Session, org_id: UUID, campaign_id: UUID) -> None:
    """Stop delivering for good: active or activating → paused, its jobs → cancelled.

    Raises:
        Refused: it is not there, is inactive already, or a job lacks the token it would be cancelled with.
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
        Refused: see `deactivate`.
    """
    _stop(session, org_id, campaign_id, CampaignStatus.CANCELLED, "cancelled")
    schedules.call_off(session, org_id, campaign_id, "the campaign was cancelled")
    record(session, org_id, "campaign.cancelled", campaign_id=campaign_id)


def complete(session: Session, org_id: UUID, campaign_id: UUID) -> None:
    """End a campaign that has done what it was for: active or paused → completed, its jobs → cancelled.

    Raises:
        Refused: see `deactivate`.
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
    _cancel_jobs(session, org_id, campaign_id)
    _move(session, campaign, wanted, **values)


def toggle(session: Session, org_id: UUID, campaign_id: UUID, *, window: int) -> None:
    """What the documented, parameterless status call does: on when it is off, off when it is on (contract.md §1).

    Raises:
        Refused: as `activate` and `deactivate`.
    """
    guard(session, org_id, activates=True)
    campaign = locked(session, org_id, campaign_id)
    if campaign.status in (CampaignStatus.ACTIVE, CampaignStatus.ACTIVATING):
        deactivate(session, org_id, campaign_id)
    else:
        activate(session, org_id, campaign_id, window=window)


def locked(session: Session, org_id: UUID, campaign_id: UUID, *, activates: bool = False) -> Campaign:
    """The campaign, its row locked: every move of its life waits its turn here.

    Args:
        activates: What follows may start delivery, and takes the enrolment lock: before any row (`guard`).

    Raises:
        Refused: CAMPAIGN_NOT_FOUND.
    """
    if activates:
        guard(session, org_id, activates=True)
    campaign = listing.held(session, Campaign, org_id, campaign_id)
    if campaign is None:
        raise Refused(Refusal.CAMPAIGN_NOT_FOUND, f"campaign {campaign_id} does not exist")
    return campaign


def _unexpected(campaign: Campaign, wish: str) -> Refused:
    return Refused(
        Refusal.CAMPAIGN_HAS_UNEXPECTED_STATUS,
        f"campaign {campaign.id} is {campaign.status} and cannot be {wish}",
    )


def _in_progress(campaign: Campaign, job: Job) -> Refused:
    return Refused(
        Refusal.CAMPAIGN_HAS_JOB_IN_PROGRESS, f"campaign {campaign.id} has job {job.id} in progress"
    )


def _nothing_to_send(campaign: Campaign, why: str) -> Refused:
    return Refused(Refusal.CAMPAIGN_HAS_NO_DELIVERY_METHOD, f"campaign {campaign.id} {why}")


def _deliverable(session: Session, campaign: Campaign) -> list[Target]:
    """The campaign's targets, if it has something to say to them."""
    targets = _targets(session, campaign)
    action = campaign.next_best_action
    if campaign.flow_id is None and action is None and not _has_widget(session, campaign.org_id, campaign.id):
        raise _nothing_to_send(campaign, "has neither a flow nor a portal widget nor a next best action")
    if action is not None and read_action(campaign) is None:
        raise Refused(
            Refusal.INVALID_NEXT_BEST_ACTION,
            f"campaign {campaign.id} has a next best action that nobody can show",
        )
    if campaign.flow_id is not None:
        settle(session, campaign)
    return targets


def _new_job(
    session: Session,
    campaign: Campaign,
    targets: list[Target],
    *,
    window: int,
    priority: str,
    reach: float,
    job_id: UUID | None,
) -> Job:
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
    if not targets and not has_named(session, campaign.org_id, campaign.id):
        raise Refused(Refusal.CAMPAIGN_HAS_NO_TARGET, f"campaign {campaign.id} has no target")
    for target in targets:
        if not has_filters(target):
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
    jobs = _jobs(session, org_id, campaign_id, SENDING)
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
