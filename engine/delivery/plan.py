"""Plan a job: walk its audience by key, a page at a time, writing recipients and slices.

Promises:
- A page is one transaction: its recipients, its slices, the counters and the checkpoint stand together or not at all.
  Killed anywhere, planning goes on behind the last page; an entity that several targets let through is one recipient.
- Delivery starts when the first page stands, which is small for that reason; the campaign turns `active` when the last
  one does.
- A re-activated campaign takes up those whom its earlier jobs left cancelled, keeps their earlier execution in the
  history, and leaves alone whoever had an outcome.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog
from sqlalchemy import Select, Uuid, exists, func, insert, literal, select, update

from engine.audience.targets import audience_page
from engine.delivery import history, slices
from engine.events.outbox import record
from engine.triggers import reach
from state.change import change_status, clock_of, sources_of
from state.sets import insert_into
from state.tables import Campaign, Job, Recipient, Slice, Target
from state.transitions import CAMPAIGN, JOB, AutomationStatus, CampaignStatus, JobStatus, SliceState

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from engine.runtime import Runtime

__all__ = ["plan"]

log = structlog.get_logger(__name__)

#: Recipients of the first pages, and of all later ones: the first send must not wait for a large page.
_PAGES = (500, 2_000, 5_000)
_PAGE = 10_000


def plan(runtime: Runtime, org_id: UUID, job_id: UUID) -> bool:
    """Plan until the audience is exhausted, the job is held or cancelled, or the process is stopped.

    Returns:
        Whether the plan is complete. An earlier job of the campaign that is still being wound up comes first; then
        the sweeper calls again.
    """
    page = 0
    while True:
        with runtime.transaction() as session:
            more = _page(session, org_id, job_id, page, runtime.settings.slice_size)
            reach("plan.page.before_commit")
        reach("plan.page.committed")
        if more is not True:
            return more is False
        page += 1


def _page(session: Session, org_id: UUID, job_id: UUID, page: int, slice_size: int) -> bool | None:
    """Write one page. True: there may be more; False: that was the last; None: not now."""
    job = session.execute(
        select(Job).where(Job.id == job_id, Job.org_id == org_id).with_for_update()
    ).scalar_one_or_none()
    if job is None or job.planned or job.held or job.status not in (JobStatus.QUEUED, JobStatus.PROCESSING):
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
    target = _target(session, job, position["target"])
    if target is None:
        _planned(session, job)
        return False
    after = UUID(position["after"]) if position["after"] else None
    limit = _PAGES[page] if page < len(_PAGES) else _PAGE
    audience = audience_page(session, org_id, target, after=after, limit=limit, now=now)
    keys = audience.subquery("page")
    last = session.execute(select(keys.c.id).order_by(keys.c.id.desc()).limit(1)).scalar_one_or_none()
    if last is None:
        position = {"target": position["target"] + 1, "after": None}
    else:
        _write(session, job, audience, after, last, slice_size)
        position = {"target": position["target"], "after": str(last)}
    session.execute(
        update(Job)
        .where(Job.id == job_id)
        .values(checkpoint=position, touched_at=now, updated_at=now)
        .execution_options(synchronize_session=False)
    )
    session.expire(job)
    slices.wake_next(session, org_id, job_id)
    return True


def _predecessor_winds_up(session: Session, job: Job) -> bool:
    """Whether an earlier job of the campaign still has open slices; they would settle behind the plan's back."""
    earlier = select(Job.id).where(
        Job.campaign_id == job.campaign_id,
        Job.org_id == job.org_id,
        Job.id != job.id,
        Job.status == JobStatus.CANCELLED,
    )
    open_slices = exists().where(Slice.job_id.in_(earlier), Slice.state != SliceState.DONE)
    return bool(session.execute(select(open_slices)).scalar_one())


def _target(session: Session, job: Job, index: int) -> Target | None:
    """The target at `index` of the job's audience; those that were deleted since are passed over by being empty."""
    if index >= len(job.target_ids):
        return None
    found = session.execute(
        select(Target).where(Target.id == UUID(job.target_ids[index]), Target.org_id == job.org_id)
    ).scalar_one_or_none()
    if found is None:
        job.checkpoint = {"target": index + 1, "after": None}
        return _target(session, job, index + 1)
    return found


def _write(
    session: Session,
    job: Job,
    audience: Select[Any, Any, Any],
    after: UUID | None,
    last: UUID,
    slice_size: int,
) -> None:
    """Insert the page's recipients, take up the cancelled ones among them, and cut them into slices.

    The page is bounded by its last key, not by a number of rows: an entity that appears meanwhile below that key is
    in it, and nobody can fall between two pages.
    """
    key = audience.selected_columns.id
    page = audience.limit(None).where(key <= last).subquery("audience")
    now = clock_of(session).now()
    base = session.execute(
        select(func.coalesce(func.max(Slice.number) + 1, 0)).where(Slice.job_id == job.id)
    ).scalar_one()
    history.keep_cancelled(session, job, after=after, last=last, among=select(page.c.id))
    number = base + (func.row_number().over(order_by=page.c.id) - 1) // slice_size
    columns = {
        "org_id": literal(job.org_id, Uuid),
        "campaign_id": literal(job.campaign_id, Uuid),
        "entity_id": page.c.id,
        "entity_schema": page.c.schema,
        "title": page.c.title,
        "job_id": literal(job.id, Uuid),
        "slice_number": number,
        "automation_status": literal(AutomationStatus.PENDING.value),
        "attempt": literal(0),
        "in_flight": literal(value=False),
        "created_at": literal(now, Recipient.created_at.type),
        "updated_at": literal(now, Recipient.updated_at.type),
    }
    statement = insert_into(session, Recipient).from_select(
        list(columns), select(*columns.values()).where(literal(value=True))
    )
    statement = statement.on_conflict_do_update(
        index_elements=["campaign_id", "entity_id"],
        set_={
            "job_id": statement.excluded.job_id,
            "slice_number": statement.excluded.slice_number,
            "automation_status": statement.excluded.automation_status,
            "attempt": 0,
            "execution_id": None,
            "error_code": None,
            "error_text": None,
            "due_at": None,
            "updated_at": now,
        },
        where=Recipient.automation_status.is_(None)
        | (Recipient.automation_status == AutomationStatus.CANCELLED),
    )
    session.execute(statement.execution_options(synchronize_session=False))
    cut = (
        select(
            literal(job.org_id, Uuid),
            literal(job.id, Uuid),
            Recipient.slice_number,
            literal(SliceState.READY.value),
            func.count(),
            literal(now, Slice.due_at.type),
            *(literal(0) for _ in range(5)),
        )
        .where(Recipient.job_id == job.id, Recipient.slice_number >= base)
        .group_by(Recipient.slice_number)
    )
    names = ["org_id", "job_id", "number", "state", "size", "due_at"]
    counters = ["lease_epoch", "in_progress", "success", "failed", "cancelled"]
    session.execute(insert(Slice).from_select([*names, *counters], cut))
    cut_now, planned = session.execute(
        select(func.count(), func.coalesce(func.sum(Slice.size), 0)).where(
            Slice.job_id == job.id, Slice.number >= base
        )
    ).one()
    session.execute(
        update(Job)
        .where(Job.id == job.id)
        .values(total=Job.total + planned, slices_total=Job.slices_total + cut_now)
        .execution_options(synchronize_session=False)
    )
    log.info("plan.page", job_id=str(job.id), recipients=int(planned), slices=int(cut_now))


def _planned(session: Session, job: Job) -> None:
    """The audience is exhausted: the campaign is active, and the job may end when its slices have."""
    session.execute(
        update(Job)
        .where(Job.id == job.id)
        .values(planned=True, updated_at=clock_of(session).now())
        .execution_options(synchronize_session=False)
    )
    reach("plan.done")
    active = session.execute(
        update(Campaign)
        .where(
            Campaign.id == job.campaign_id,
            Campaign.org_id == job.org_id,
            Campaign.status == CampaignStatus.ACTIVATING,
            sources_of(CAMPAIGN, CampaignStatus.ACTIVE),
        )
        .values(status=CampaignStatus.ACTIVE, updated_at=clock_of(session).now())
        .returning(Campaign.id)
        .execution_options(synchronize_session=False)
    ).first()
    if active is not None:
        record(session, job.org_id, "campaign.active", campaign_id=job.campaign_id, job_id=job.id)
    slices.finish_if_done(session, job.org_id, job.id)
