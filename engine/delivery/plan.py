"""Plan a job: walk its audience by key, a page at a time, writing recipients and slices.

Promises:
- A page is one transaction: its recipients, its slices, the counters and the checkpoint stand together or not at all.
  Killed anywhere, planning goes on behind the last page; an entity that several targets let through is one recipient.
- Delivery starts when the first page stands, which is small for that reason; the campaign turns `active` when the last
  one does.
- Delivery goes on while a page is written: the job's row, in which every slice that ends takes its turn, is locked for
  the last moments of a page only. A lock of the plan's own keeps two planners apart; a page whose job was cancelled
  meanwhile is rolled back.
- Targets that were enrolled by name come behind the audience (engine.delivery.enrolled_recipients).
- A re-activated campaign takes up those whom its earlier jobs left cancelled, keeps their earlier execution in the
  history, and leaves alone recipients that had an outcome.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog
from sqlalchemy import exists, select, update
from sqlalchemy.exc import DBAPIError

from engine.delivery import history, slices
from engine.delivery.enrolled_recipients import insert_enrolled
from engine.delivery.fail_job import fail
from engine.delivery.holdout import holdout_of, leave_out
from engine.delivery.insert_recipients import AlreadyRecipient, insert_recipients
from engine.events.outbox import record
from engine.filters.filters import FilterError
from engine.filters.targets import audience_page, has_filters
from engine.kernel import tracing
from engine.kernel.triggers import reach
from state.change import change_status, clock_of, sources_of
from state.database import is_too_complex
from state.locks import Lock, lock
from state.sampling import within
from state.tables import Campaign, Entity, Job, Recipient, Slice, Target
from state.transitions import (
    CAMPAIGN,
    JOB,
    SENDING,
    STOPPED,
    AutomationStatus,
    CampaignStatus,
    JobStatus,
    SliceState,
)

if TYPE_CHECKING:
    from sqlalchemy import Select
    from sqlalchemy.orm import Session

    from engine.kernel.runtime import Runtime

__all__ = ["plan"]

log = structlog.get_logger(__name__)

#: After so many pages the database's statistics are renewed, and again each time there are ten times as many: it takes
#: tables that grew by a campaign within seconds for what they were before.
_FIRST_LOOK = 4
#: Recipients of the first pages, and of all later ones: the first send must not wait for a large page.
_PAGES = (500, 2_000, 5_000)
_PAGE = 10_000


def plan(runtime: Runtime, org_id: UUID, job_id: UUID) -> bool:
    """Plan until the audience is exhausted, the job is held or cancelled, or the process is stopped.

    Returns:
        Whether the plan is complete. An earlier job of the campaign that is still being wound up comes first; then
        the sweeper calls again. A target whose filters cannot be used fails the job.
    """
    page, look = 0, _FIRST_LOOK
    while True:
        try:
            with runtime.transaction() as session:
                with tracing.span("plan.page", page=page):
                    more = _page(session, org_id, job_id, page, runtime.settings.slice_size)
                reach("plan.page.before_commit")
        except (FilterError, DBAPIError) as error:
            if isinstance(error, DBAPIError) and not is_too_complex(error):
                raise
            reason = (
                str(error) if isinstance(error, FilterError) else f"its filters are too many: {error.orig}"
            )
            with runtime.transaction() as session:
                fail(session, org_id, job_id, code="TARGET_UNUSABLE", reason=reason)
            return False
        reach("plan.page.committed")
        if more is None:
            return False
        if not more:
            break
        page += 1
        if page == look:
            runtime.database.analyze(Recipient, Slice)
            look *= 10
    with runtime.transaction() as session:
        _complete(session, org_id, job_id)
        reach("plan.done")
    return True


def _page(session: Session, org_id: UUID, job_id: UUID, page: int, slice_size: int) -> bool | None:
    """Write one page. True: there may be more; False: there is nobody left; None: not now."""
    _lock(session, job_id)
    job = session.execute(select(Job).where(Job.id == job_id, Job.org_id == org_id)).scalar_one_or_none()
    if job is None or job.planned or job.held or job.status not in SENDING:
        return None
    now = clock_of(session).now()
    if job.status == JobStatus.QUEUED:
        if _predecessor_winds_up(session, job):
            return None
        change_status(
            session,
            JOB,
            JobStatus.PROCESSING,
            Job.id == job_id,
            Job.org_id == org_id,
            key=job_id,
            started_at=now,
        )
        job.checkpoint = {"target": 0, "after": None}
    position: dict[str, Any] = job.checkpoint or {"target": 0, "after": None}
    if position["target"] > len(job.target_ids):
        return False
    limit = _PAGES[page] if page < len(_PAGES) else _PAGE
    position = _take_page(session, job, position, limit, slice_size)
    still = session.execute(
        update(Job)
        .where(Job.id == job_id, Job.org_id == org_id, Job.status == JobStatus.PROCESSING)
        .values(checkpoint=position, touched_at=now, updated_at=now)
        .returning(Job.id)
        .execution_options(synchronize_session=False)
    ).first()
    if still is None:
        session.rollback()
        return None
    session.expire(job)
    slices.wake_next(session, org_id, job_id)
    return True


def _lock(session: Session, job_id: UUID) -> None:
    """Plan the job alone until the transaction ends. On SQLite there is one writer anyway."""
    lock(session, Lock.PLANNING, job_id)


def _predecessor_winds_up(session: Session, job: Job) -> bool:
    """Whether an earlier job of the campaign still has open slices; they would settle behind the plan's back."""
    earlier = select(Job.id).where(
        Job.campaign_id == job.campaign_id,
        Job.org_id == job.org_id,
        Job.id != job.id,
        Job.status.in_(STOPPED),
    )
    open_slices = exists().where(Slice.job_id.in_(earlier), Slice.state != SliceState.DONE)
    return bool(session.execute(select(open_slices)).scalar_one())


def _take_page(
    session: Session, job: Job, position: dict[str, Any], limit: int, slice_size: int
) -> dict[str, Any]:
    """Take in the next `limit` of a target's audience; returns the position behind them.

    An entity that appears meanwhile below the page's last key is enrolled by the code that writes it
    (engine.delivery.enrol), so nobody can fall between two pages.
    """
    index: int = position["target"]
    behind = {"target": index + 1, "after": None}
    if index == len(job.target_ids):  # nobody else is to come: now those who were enrolled by name
        return position if insert_enrolled(session, job, limit=limit, slice_size=slice_size) else behind
    target = session.execute(
        select(Target).where(Target.id == UUID(job.target_ids[index]), Target.org_id == job.org_id)
    ).scalar_one_or_none()
    if target is None or not has_filters(target):  # deleted, or emptied, since the job was made
        return behind
    after = UUID(position["after"]) if position["after"] else None
    now = clock_of(session).now()
    audience = audience_page(session, job.org_id, target, after=after, limit=limit, now=now)
    sampled = within(session, job.campaign_id, Entity.id, job.reach)
    if sampled is not None:
        audience = audience.where(sampled)
    cut: dict[str, Any] = {"slice_size": slice_size, "target_id": target.id}
    first_job = not _has_predecessor(session, job)
    if first_job and not holdout_of(session, job.campaign_id):
        # The usual page is read once, and bounded by those that it took in.
        people = audience.subquery("people")
        fresh = index == 0 and not position.get("known")
        try:
            taken = insert_recipients(session, job, people, fresh=fresh, **cut)
        except AlreadyRecipient:
            fresh = False
            taken = insert_recipients(session, job, people, **cut)
        last = _last_taken(session, job) if taken else _last_of(session, audience)
    else:
        fresh, taken, last = False, 0, _last_of(session, audience)
        if last is not None:
            everybody = audience.limit(None).where(audience.selected_columns.id <= last)
            people = leave_out(session, job, everybody).subquery("people")
            if not first_job:
                history.keep_cancelled(session, job, after=after, last=last, among=select(people.c.id))
            taken = insert_recipients(session, job, people, revive=[AutomationStatus.CANCELLED], **cut)
    if last is None:
        return behind
    log.info("plan.page", job_id=str(job.id), recipients=taken)
    return {"target": index, "after": str(last), "known": not fresh}


def _has_predecessor(session: Session, job: Job) -> bool:
    """Whether the campaign had a job before."""
    ours = (Job.org_id == job.org_id, Job.campaign_id == job.campaign_id)
    earlier = select(Job.id).where(*ours, Job.id != job.id).limit(1)
    return session.execute(earlier).first() is not None


def _last_of(session: Session, audience: Select[UUID, str, str]) -> UUID | None:
    """The page's last key; None: there is nobody left."""
    keys = audience.subquery("page")
    return session.execute(select(keys.c.id).order_by(keys.c.id.desc()).limit(1)).scalar_one_or_none()


def _last_taken(session: Session, job: Job) -> UUID | None:
    """The last key that was taken in: of the last slice, because a page is cut in the order of its keys."""
    place = (Recipient.slice_number.desc(), Recipient.entity_id.desc())
    found = select(Recipient.entity_id).where(Recipient.job_id == job.id).order_by(*place).limit(1)
    return session.execute(found).scalar_one_or_none()


def _complete(session: Session, org_id: UUID, job_id: UUID) -> None:
    """The audience is exhausted: the campaign is active, and the job may end when its slices have.

    A transaction of its own, because all code that locks a campaign and its job locks the campaign first.
    """
    campaign_id = session.execute(
        select(Job.campaign_id).where(Job.id == job_id, Job.org_id == org_id)
    ).scalar_one()
    now = clock_of(session).now()
    active = session.execute(
        update(Campaign)
        .where(
            Campaign.id == campaign_id,
            Campaign.org_id == org_id,
            Campaign.status == CampaignStatus.ACTIVATING,
            Campaign.job_id == job_id,
            sources_of(CAMPAIGN, CampaignStatus.ACTIVE),
        )
        .values(status=CampaignStatus.ACTIVE, updated_at=now)
        .returning(Campaign.id)
        .execution_options(synchronize_session=False)
    ).first()
    session.execute(
        update(Job)
        .where(Job.id == job_id, Job.org_id == org_id, Job.status == JobStatus.PROCESSING)
        .values(planned=True, updated_at=now)
        .execution_options(synchronize_session=False)
    )
    if active is not None:
        record(session, org_id, "campaign.active", campaign_id=campaign_id, job_id=job_id)
    slices.finish_if_done(session, org_id, job_id)
