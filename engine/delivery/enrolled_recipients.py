"""Enrolled targets (docs/contract/enrolled-targets.md): recipients that somebody named, and that no audience need let
in.

They are delivered to as everybody is: a campaign that runs takes them into its enrolment job at once, any other with
its next activation, behind its audience. Recipients that have had an outcome are left alone; a recipient that was set
aside because they were soft-deleted, or was left cancelled by an earlier job, is taken up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, exists, or_, select

from engine.delivery import history, slices
from engine.delivery.cancel_codes import HOLDOUT, TARGET_DELETED
from engine.delivery.counters import lock_slices
from engine.delivery.enrol import SLICE, enrolment_job
from engine.delivery.insert_recipients import insert_recipients
from state.sets import among
from state.tables import Campaign, Job, Recipient
from state.transitions import AutomationStatus, CampaignStatus, JobStatus

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

__all__ = ["deliver_enrolled", "has_enrolled", "insert_enrolled"]

_LIVE = (Recipient.stage.is_not(None), Recipient.deleted_at.is_(None))


def has_enrolled(session: Session, org_id: UUID, campaign_id: UUID) -> bool:
    """Whether a campaign has enrolled targets. Index ix_recipient_enrolled."""
    wanted = select(Recipient.entity_id).where(
        Recipient.campaign_id == campaign_id, Recipient.org_id == org_id, *_LIVE
    )
    return session.execute(wanted.limit(1)).first() is not None


def _delivers(session: Session, campaign: Campaign) -> bool:
    """Whether a campaign contacts who is enrolled now: it runs, or is held and will go on."""
    if campaign.flow_id is None or campaign.reach <= 0:
        return False
    if campaign.status in (CampaignStatus.ACTIVATING, CampaignStatus.ACTIVE):
        return True
    held = exists().where(
        Job.campaign_id == campaign.id,
        Job.org_id == campaign.org_id,
        Job.held.is_(True),
        Job.status.in_((JobStatus.QUEUED, JobStatus.PROCESSING)),
    )
    return campaign.status == CampaignStatus.PAUSED and bool(session.execute(select(held)).scalar_one())


def deliver_enrolled(session: Session, campaign: Campaign, entity_ids: Sequence[UUID]) -> int:
    """Take these targets, just enrolled or restored, into the delivery of a campaign that runs; returns how many.

    A handful of statements whatever their number. The caller has called `enrol.guard`, and holds the campaign's row.
    """
    if not entity_ids or not _delivers(session, campaign):
        return 0
    aside = and_(
        Recipient.automation_status == AutomationStatus.CANCELLED, Recipient.error_code == TARGET_DELETED
    )
    who = or_(Recipient.automation_status.is_(None), aside)
    ids = _ids(session, campaign.org_id, campaign.id, among(session, Recipient.entity_id, entity_ids), who)
    if not ids:
        return 0
    job = enrolment_job(session, campaign)
    taken = _take(session, job, ids, slice_size=SLICE)
    if taken:
        slices.wake_next(session, campaign.org_id, job.id)
    return taken


def insert_enrolled(session: Session, job: Job, *, limit: int, slice_size: int) -> int:
    """Take up to `limit` targets whom no audience let in into a job that is being planned; returns how many. Those
    whom it has taken in before are no candidates any more, so that the next call goes on where this one ended.
    """
    if not has_enrolled(session, job.org_id, job.campaign_id):
        return 0
    left = and_(
        Recipient.automation_status == AutomationStatus.CANCELLED,
        Recipient.job_id.is_distinct_from(job.id),
        Recipient.error_code.is_distinct_from(HOLDOUT),
    )
    who = or_(Recipient.automation_status.is_(None), left)
    ids = _ids(session, job.org_id, job.campaign_id, who, limit=limit)
    return _take(session, job, ids, slice_size=slice_size) if ids else 0


def _ids(
    session: Session, org_id: UUID, campaign_id: UUID, *which: ColumnElement[bool], limit: int | None = None
) -> Sequence[UUID]:
    """Live targets, locked, and their slices."""
    wanted = (Recipient.campaign_id == campaign_id, Recipient.org_id == org_id, *_LIVE, *which)
    lock_slices(session, *wanted)
    statement = (
        select(Recipient.entity_id)
        .where(*wanted)
        .order_by(Recipient.entity_id)
        .limit(limit)
        .with_for_update()
    )
    return session.scalars(statement).all()


def _take(session: Session, job: Job, ids: Sequence[UUID], *, slice_size: int) -> int:
    history.keep(session, job.campaign_id, ids, AutomationStatus.CANCELLED)
    people = (
        select(
            Recipient.entity_id.label("id"),
            Recipient.entity_schema.label("schema"),
            Recipient.title.label("title"),
        )
        .where(
            Recipient.campaign_id == job.campaign_id,
            Recipient.org_id == job.org_id,
            among(session, Recipient.entity_id, ids),
        )
        .subquery("people")
    )
    return insert_recipients(
        session, job, people, slice_size=slice_size, target_id=None, revive=[AutomationStatus.CANCELLED]
    )
