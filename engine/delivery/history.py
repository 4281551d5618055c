"""Earlier executions: before a recipient starts over, what it went through is kept, and its job stops counting it.

A recipient is counted by the one job in its `job_id`, and by a slice of it (state/tables/delivery.py), so moving it to
another job takes it out of the counters of the first; that job's report keeps what was true when it ended.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import Select, case, select

from engine.delivery.cancel_codes import JOB_CANCELLED
from engine.delivery.counters import count_out, lock_slices
from engine.delivery.flow_plan import flow_plan_of
from engine.delivery.rollup import SumKey, add, hour_of
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

__all__ = ["keep", "keep_cancelled", "sum_outcomes"]


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
    sum_outcomes(session, campaign_id, *ours, sign=-1)
    count_out(session, status, *ours)


def sum_outcomes(
    session: Session, campaign_id: UUID, *recipients: ColumnElement[bool], sign: Literal[1, -1]
) -> None:
    """Take recipients that failed or were excluded into the sums of the hours in which that was written down, or (-1)
    out of them. Others are in none of those sums. The caller holds the rows.
    """
    found = session.execute(
        select(
            Recipient.org_id,
            Recipient.job_id,
            Recipient.automation_status,
            Recipient.touchpoint_id,
            Recipient.variant,
            Recipient.target_id,
            Recipient.updated_at,
        ).where(
            *recipients,
            Recipient.job_id.is_not(None),
            Recipient.automation_status.in_((AutomationStatus.FAILED, AutomationStatus.CANCELLED)),
            Recipient.error_code.is_distinct_from(JOB_CANCELLED),
        )
    ).all()
    if not found:
        return
    org_id = found[0].org_id
    flows = {job_id: flow_plan_of(session, org_id, job_id) for job_id in {row.job_id for row in found}}
    outcomes: Counter[tuple[datetime, SumKey, AutomationStatus]] = Counter()
    for row in found:
        at = SumKey(*flows[row.job_id].counted_at(row.touchpoint_id, row.variant), row.target_id)
        outcomes[hour_of(row.updated_at), at, AutomationStatus(row.automation_status)] += sign
    add(session, org_id, campaign_id, outcomes)
