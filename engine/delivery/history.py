"""Earlier executions: before a recipient starts over, what it went through is kept, and its job stops counting it.

A recipient is counted by the one job in its `job_id`, and by a slice of it (state/tables/delivery.py), so moving it to
another job takes it out of the counters of the first; that job's report keeps what was true when it ended.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, case, select

from engine.delivery.counters import count_out, lock_slices
from engine.delivery.course import course_of
from engine.delivery.rollup import Spot, hour_of, take_back
from state.sets import among as among_values
from state.sets import insert_into
from state.tables import Execution, Job, Recipient
from state.transitions import AutomationStatus

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

__all__ = ["has_predecessor", "keep", "keep_cancelled"]


def keep_cancelled(session: Session, job: Job, *, after: UUID | None, last: UUID, among: Select[Any]) -> None:
    """Keep the executions of a campaign's cancelled recipients that `among` (entity ids, between the two keys)
    selects, because `job` is about to take them up.
    """
    condition = [
        Recipient.campaign_id == job.campaign_id,
        Recipient.automation_status == AutomationStatus.CANCELLED,
        Recipient.entity_id <= last,
        Recipient.entity_id.in_(among),
    ]
    if after is not None:
        condition.append(Recipient.entity_id > after)
    lock_slices(session, *condition)
    ids = session.execute(select(Recipient.entity_id).where(*condition).with_for_update()).scalars().all()
    if ids:
        keep(session, job.campaign_id, ids, AutomationStatus.CANCELLED)


def has_predecessor(session: Session, job: Job) -> bool:
    """Whether the campaign had a job before."""
    ours = (Job.org_id == job.org_id, Job.campaign_id == job.campaign_id)
    earlier = select(Job.id).where(*ours, Job.id != job.id).limit(1)
    return session.execute(earlier).first() is not None


def keep(session: Session, campaign_id: UUID, entity_ids: Sequence[UUID], status: AutomationStatus) -> None:
    """Copy the current executions of these recipients, all in `status` (a terminal one), into the history, and take
    them out of the counters of their jobs and slices, and the hours' sums. The caller holds the slices and the rows.
    """
    ours: tuple[ColumnElement[bool], ...] = (
        Recipient.campaign_id == campaign_id,
        among_values(session, Recipient.entity_id, entity_ids),
        Recipient.automation_status == status,
    )
    session.execute(
        insert_into(session, Execution)
        .from_select(
            [
                "id",
                "org_id",
                "campaign_id",
                "entity_id",
                "job_id",
                "status",
                "attempt",
                "error_code",
                "error_text",
                "ended_at",
                "touchpoint_id",
                "step",
                "variant",
            ],
            select(
                Recipient.execution_id,
                Recipient.org_id,
                Recipient.campaign_id,
                Recipient.entity_id,
                Recipient.job_id,
                Recipient.automation_status,
                Recipient.attempt,
                Recipient.error_code,
                Recipient.error_text,
                Recipient.updated_at,
                Recipient.touchpoint_id,
                case((Recipient.touchpoint_id.is_not(None), Recipient.step)),
                Recipient.variant,
            ).where(*ours, Recipient.execution_id.is_not(None)),
        )
        # Whose last touchpoint was delivered has it there already, whatever was said of them since.
        .on_conflict_do_nothing()
    )
    _take_back(session, campaign_id, ours, status)
    count_out(session, status, *ours)


def _take_back(
    session: Session, campaign_id: UUID, ours: Sequence[ColumnElement[bool]], status: AutomationStatus
) -> None:
    """Take failed or cancelled recipients out of the sums of the hours in which that was written down."""
    found = session.execute(
        select(
            Recipient.org_id,
            Recipient.job_id,
            Recipient.touchpoint_id,
            Recipient.variant,
            Recipient.target_id,
            Recipient.updated_at,
        ).where(*ours, Recipient.job_id.is_not(None))
    ).all()
    if not found:
        return
    org_id = found[0].org_id
    courses = {job_id: course_of(session, org_id, job_id) for job_id in {row.job_id for row in found}}
    outcomes: Counter[tuple[datetime, Spot]] = Counter(
        (
            hour_of(row.updated_at),
            Spot(*courses[row.job_id].spot(row.touchpoint_id, row.variant), row.target_id),
        )
        for row in found
    )
    take_back(session, org_id, campaign_id, outcomes, failed=status == AutomationStatus.FAILED)
