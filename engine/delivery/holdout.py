"""People who are left out on purpose (an A/B test's `holdout`): recipients that are recorded, and never sent to.

They are the last percent of the campaign's audience (state.sampling), so that they are the same people in every run,
and none of them is in the sample. Without an A/B test, or without a holdout, planning runs one small query a page more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Uuid, literal, select, update

from engine.delivery.cancel_codes import HOLDOUT
from engine.delivery.flow_plan import flow_plan_of
from engine.delivery.rollup import SumKey, add, hour_of
from state.change import clock_of
from state.sampling import PLACES, place_of
from state.sets import among, insert_into
from state.tables import Entity, Experiment, Job, Recipient
from state.transitions import AutomationStatus

if TYPE_CHECKING:
    from collections.abc import Collection
    from uuid import UUID

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.orm import Session

__all__ = ["held_out", "holdout_of", "holdouts_of", "leave_out"]

_EVERYBODY = 100


def holdout_of(session: Session, campaign_id: UUID) -> float:
    """Percent of a campaign's audience that is never sent to. Unique key (campaign_id)."""
    return holdouts_of(session, [campaign_id]).get(campaign_id, 0.0)


def holdouts_of(session: Session, campaign_ids: Collection[UUID]) -> dict[UUID, float]:
    """The same of several; those without one are not in it."""
    chosen = among(session, Experiment.campaign_id, campaign_ids)
    statement = select(Experiment.campaign_id, Experiment.holdout).where(chosen)
    return {campaign_id: holdout for campaign_id, holdout in session.execute(statement)}  # noqa: C416 - rows become pairs


def held_out(session: Session, campaign_id: UUID, percent: float) -> ColumnElement[bool]:
    """The condition on Entity for being among them."""
    return place_of(session, campaign_id, Entity.id) >= round((_EVERYBODY - percent) * PLACES / _EVERYBODY)


def leave_out(session: Session, job: Job, people: Select[UUID, str, str]) -> Select[UUID, str, str]:
    """Record those of `people` (columns id, schema, title of Entity) who are held out as cancelled recipients of a job
    whose row the caller has locked; returns the others.
    """
    percent = holdout_of(session, job.campaign_id)
    if not percent:
        return people
    held = held_out(session, job.campaign_id, percent)
    them = people.where(held).subquery("held")
    at = clock_of(session).now()
    now = literal(at, Recipient.created_at.type)
    columns = {
        "org_id": literal(job.org_id, Uuid),
        "campaign_id": literal(job.campaign_id, Uuid),
        "entity_id": them.c.id,
        "entity_schema": them.c.schema,
        "title": them.c.title,
        "job_id": literal(job.id, Uuid),
        "automation_status": literal(AutomationStatus.CANCELLED.value),
        "error_code": literal(HOLDOUT),
        "attempt": literal(0),
        "created_at": now,
        "updated_at": now,
    }
    chosen = select(*columns.values()).where(literal(value=True))
    written = len(
        session.execute(
            insert_into(session, Recipient)
            .from_select(list(columns), chosen)
            .on_conflict_do_nothing()
            .returning(Recipient.entity_id)
            .execution_options(synchronize_session=False)
        ).all()
    )
    session.execute(
        update(Job)
        .where(Job.id == job.id, Job.org_id == job.org_id)
        .values(total=Job.total + written, cancelled=Job.cancelled + written)
        .execution_options(synchronize_session=False)
    )
    if written:
        place = SumKey(*flow_plan_of(session, job.org_id, job.id).counted_at(None, None), None)
        add(
            session,
            job.org_id,
            job.campaign_id,
            {(hour_of(at), place, AutomationStatus.CANCELLED): written},
        )
    return people.where(~held)
