"""Event-driven enrolment: an entity that was created or changed joins the campaigns whose target it now matches.

Promises (docs/contract/states.md `ends`):
- In the transaction that writes the entities, so that no change is noticed late or not at all.
- Once: a recipient of a campaign is never enrolled again, and when it no longer matches nothing is taken back. Who had
  been deleted when their turn came, and is back (engine.audience.former), has their turn now.
- In set operations: one statement for every fifty campaigns with a target of the schema, whatever the number of
  entities, and a handful more for each that gains somebody.
- Against an activation at the same moment: `guard` makes an activation wait for the writers that cannot have seen it,
  so that an entity is found by the plan, by enrolment, or by both, and the primary key makes one of two. It is taken
  before any row is locked.

Who is enrolled is delivered by a job of kind `enrolment`, which later changes join for as long as it is open.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID, uuid4

from sqlalchemy import and_, case, exists, func, not_, select

from engine.delivery import history, slices
from engine.delivery.cancel_codes import ENTITY_DELETED
from engine.delivery.counters import lock_slices
from engine.delivery.holdout import held_out, holdouts_of
from engine.delivery.insert_recipients import insert_recipients
from engine.filters.targets import audience, has_filters
from engine.kernel.commands import Retrigger
from engine.kernel.runtime import wake
from state.change import clock_of
from state.locks import Lock, lock
from state.sampling import within
from state.sets import among
from state.tables import Campaign, Entity, Job, Recipient, Target
from state.transitions import SENDING, AutomationStatus, CampaignStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.orm import Session

__all__ = ["SLICE", "enrol", "enrolment_job", "guard"]

_WINDOW = 16
#: Recipients of a slice that is made by the way.
SLICE = 500
#: Campaigns, each with a target, that one statement asks about.
_AT_ONCE = 50


def guard(session: Session, org_id: UUID, *, activates: bool) -> None:
    """Take the organization's enrolment lock until the transaction ends.

    Writers of entities share it; an activation takes it alone.
    """
    lock(session, Lock.ENROLMENT, org_id, shared=not activates)


def enrol(session: Session, org_id: UUID, schema: str, entity_ids: Sequence[UUID]) -> int:
    """Enrol these entities, just written by this transaction, wherever they now match; returns how many enrolments.

    The caller has called `guard` before it wrote them.
    """
    if not entity_ids:
        return 0
    running, enrolled = _running(session, org_id, schema), 0
    for start in range(0, len(running), _AT_ONCE):
        for door in _gaining(session, running[start : start + _AT_ONCE], entity_ids):
            enrolled += _take_in(session, door, entity_ids)
    return enrolled


def _gaining(session: Session, doors: Sequence[_Door], entity_ids: Sequence[UUID]) -> list[_Door]:
    """Those by which somebody comes in. One statement, which reads each entity once."""
    gains = [func.max(case((and_(*_conditions(session, door)), 1), else_=0)) for door in doors]
    row = session.execute(select(*gains).where(among(session, Entity.id, entity_ids))).one()
    return [door for door, gain in zip(doors, row, strict=True) if gain]


class _Door(NamedTuple):
    """A way into a campaign."""

    campaign: Campaign
    target: Target
    holdout: float
    """Percent of its audience that is never sent to."""


def _running(session: Session, org_id: UUID, schema: str) -> list[_Door]:
    """Campaigns that deliver, or are held and will, with their targets of this schema; in one order for everybody,
    so that two importers do not wait for each other in a circle. Three statements.
    """
    held = exists().where(
        Job.campaign_id == Campaign.id,
        Job.held.is_(True),
        Job.status.in_(SENDING),
    )
    runs = Campaign.status.in_((CampaignStatus.ACTIVATING, CampaignStatus.ACTIVE)) | (
        (Campaign.status == CampaignStatus.PAUSED) & held
    )
    campaigns = (
        session.execute(
            select(Campaign)
            .where(Campaign.org_id == org_id, runs, Campaign.flow_id.is_not(None))
            .order_by(Campaign.id)
            .execution_options(populate_existing=True)
        )
        .scalars()
        .all()
    )
    wanted = {UUID(target_id) for campaign in campaigns for target_id in campaign.target_ids}
    targets = {
        target.id: target
        for target in session.execute(
            select(Target).where(
                Target.org_id == org_id, Target.entity_schema == schema, among(session, Target.id, wanted)
            )
        ).scalars()
        if has_filters(target)  # they may have been taken away since the activation
    }
    holdouts = holdouts_of(session, [campaign.id for campaign in campaigns])
    return [
        _Door(campaign, targets[key], holdouts.get(campaign.id, 0.0))
        for campaign in campaigns
        for key in map(UUID, campaign.target_ids)
        if key in targets
    ]


def _newcomers(session: Session, door: _Door, entity_ids: Sequence[UUID]) -> Select[UUID, str, str]:
    """Of the entities, those the target lets through and the campaign has not delivered to. By primary keys."""
    return select(Entity.id, Entity.schema, Entity.title).where(
        among(session, Entity.id, entity_ids), *_conditions(session, door)
    )


def _conditions(session: Session, door: _Door) -> list[ColumnElement[bool]]:
    """The same, as conditions on an entity; the cheapest to refute first."""
    campaign, target, percent = door
    conditions = audience(session, campaign.org_id, target, clock_of(session).now())
    sampled = within(session, campaign.id, Entity.id, campaign.reach)
    if sampled is not None:
        conditions.append(sampled)
    if percent > 0:
        conditions.append(~held_out(session, campaign.id, percent))
    known = exists().where(
        Recipient.campaign_id == campaign.id,
        Recipient.entity_id == Entity.id,
        Recipient.automation_status.is_not(None),
        not_(_missed_turn()),
    )
    return [*conditions, ~known]


def _missed_turn() -> ColumnElement[bool]:
    """Whether a recipient had been deleted when it was their turn."""
    return and_(
        Recipient.automation_status == AutomationStatus.CANCELLED,
        Recipient.error_code.is_not_distinct_from(ENTITY_DELETED),
    )


def _take_in(session: Session, door: _Door, entity_ids: Sequence[UUID]) -> int:
    """Add newcomers to the campaign's enrolment job. The campaign is held against being deactivated meanwhile."""
    campaign, target, _ = door
    still = session.execute(
        select(Campaign.status)
        .where(Campaign.id == campaign.id, Campaign.org_id == campaign.org_id)
        .with_for_update(read=True)
    ).scalar_one_or_none()
    if still != campaign.status:
        return 0  # it was stopped meanwhile; starting it again plans everybody
    newcomers = _newcomers(session, door, entity_ids)
    missed = (
        Recipient.campaign_id == campaign.id,
        Recipient.entity_id.in_(newcomers.with_only_columns(Entity.id)),
        _missed_turn(),
    )
    lock_slices(session, *missed)
    back = session.scalars(
        select(Recipient.entity_id).where(*missed).order_by(Recipient.entity_id).with_for_update()
    ).all()
    job = enrolment_job(session, campaign)
    if back:
        history.keep(session, campaign.id, back, AutomationStatus.CANCELLED)
    revive = [AutomationStatus.CANCELLED] if back else []
    taken = insert_recipients(
        session,
        job,
        newcomers.subquery("people"),
        slice_size=SLICE,
        target_id=target.id,
        revive=revive,
    )
    if taken:
        slices.wake_next(session, campaign.org_id, job.id)
    return taken


def enrolment_job(session: Session, campaign: Campaign) -> Job:
    """The campaign's open enrolment job, locked; a new one where there is none."""
    job = session.execute(
        select(Job)
        .where(
            Job.org_id == campaign.org_id,
            Job.campaign_id == campaign.id,
            Job.kind == "enrolment",
            Job.status.in_(SENDING),
        )
        .order_by(Job.created_at)
        .limit(1)
        .with_for_update(key_share=True)
    ).scalar_one_or_none()
    if job is not None:
        return job
    now = clock_of(session).now()
    job = Job(
        id=uuid4(),
        org_id=campaign.org_id,
        campaign_id=campaign.id,
        kind="enrolment",
        held=campaign.status == CampaignStatus.PAUSED,
        token=secrets.token_urlsafe(24),
        window=_WINDOW,
        flow_id=campaign.flow_id,
        planned=True,
        touched_at=now,
        created_at=now,
        updated_at=now,
    )
    session.add(job)
    session.flush()
    wake(session, Retrigger(org_id=campaign.org_id, job_id=job.id))
    return job
