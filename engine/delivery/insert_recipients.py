"""Taking people into a job: recipients, the slices they are cut into, and the counters, in set operations.

Planning, enrolment and re-activation all come through here. An entity is a recipient of a campaign at most once: the
primary key decides which of two comes first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Uuid, case, func, insert, literal, select, update
from sqlalchemy.exc import IntegrityError

from config.errors import MusterError
from state.change import clock_of, sources_of
from state.sets import insert_into
from state.tables import Job, Recipient, Slice
from state.transitions import AUTOMATION, AutomationStatus, SliceState

if TYPE_CHECKING:
    from collections.abc import Collection
    from uuid import UUID

    from sqlalchemy import FromClause
    from sqlalchemy.orm import Session

__all__ = ["OF_MESSAGE", "AlreadyRecipient", "insert_recipients"]

#: What came back about a recipient's message says nothing of the next one's; the engagement log keeps it.
OF_MESSAGE = ("email_status", "email_status_updated_at", "email_bounce_type", "email_feedback")


class AlreadyRecipient(MusterError):
    """Somebody was a recipient already; nothing was written."""


def insert_recipients(
    session: Session,
    job: Job,
    people: FromClause,
    *,
    slice_size: int,
    target_id: UUID | None,
    revive: Collection[AutomationStatus] = (),
    fresh: bool = False,
) -> int:
    """Make `people` (columns id, schema, title) recipients of a job that nobody else takes people into meanwhile. One
    target lets them all in; None: they were enrolled by name. The job's row is written last.

    Those that are recipients of the campaign already stay what they are, unless they have no automation yet, or their
    automation status is in `revive` (the caller has kept their execution in the history). Those go on at the touchpoint
    where they were.

    Args:
        fresh: Nobody of them is likely to be one: they are written without looking, which is a fifth less work.

    Returns:
        How many recipients the job has gained.

    Raises:
        AlreadyRecipient: they were not. The transaction goes on.
    """
    now = clock_of(session).now()
    base = session.execute(
        select(func.coalesce(func.max(Slice.number) + 1, 0)).where(Slice.job_id == job.id)
    ).scalar_one()
    columns = {
        "org_id": literal(job.org_id, Uuid),
        "campaign_id": literal(job.campaign_id, Uuid),
        "entity_id": people.c.id,
        "entity_schema": people.c.schema,
        "title": people.c.title,
        "job_id": literal(job.id, Uuid),
        "slice_number": base + (func.row_number().over(order_by=people.c.id) - 1) // slice_size,
        "automation_status": literal(AutomationStatus.PENDING.value),
        "target_id": literal(target_id, Uuid),
        "attempt": literal(0),
        "created_at": literal(now, Recipient.created_at.type),
        "updated_at": literal(now, Recipient.updated_at.type),
    }
    statement = insert_into(session, Recipient).from_select(
        list(columns), select(*columns.values()).where(literal(value=True))
    )
    if fresh:
        try:
            with session.begin_nested():
                session.execute(statement)
        except IntegrityError as error:
            raise AlreadyRecipient from error
    else:
        session.execute(_unless_known(statement, revive).execution_options(synchronize_session=False))
    return _cut(session, job, base, target_id)


def _unless_known(statement: Any, revive: Collection[AutomationStatus]) -> Any:
    """The insert, for people some of whom may be recipients already."""
    replaced = ("job_id", "slice_number", "automation_status", "target_id", "attempt", "updated_at")
    cleared: dict[str, Any] = dict.fromkeys(("execution_id", "error_code", "error_text", *OF_MESSAGE))
    cleared["due_at"] = case((Recipient.step > 0, Recipient.due_at))
    return statement.on_conflict_do_update(
        index_elements=["campaign_id", "entity_id"],
        set_={**{name: statement.excluded[name] for name in replaced}, **cleared},
        where=Recipient.automation_status.is_(None)
        | sources_of(AUTOMATION, AutomationStatus.PENDING, only_from=revive),
    )


def _cut(session: Session, job: Job, base: int, target_id: UUID | None) -> int:
    """Write the slices from number `base` on, as large as their recipients are many, and count both on the job."""
    now = clock_of(session).now()
    zeros = ["lease_epoch", "in_progress", "success", "failed", "cancelled"]
    sizes = (
        select(
            literal(job.org_id, Uuid),
            literal(job.campaign_id, Uuid),
            literal(job.id, Uuid),
            Recipient.slice_number,
            literal(SliceState.READY.value),
            func.count(),
            literal(now, Slice.due_at.type),
            literal(target_id, Uuid),
            *(literal(0) for _ in zeros),
        )
        .where(Recipient.job_id == job.id, Recipient.slice_number >= base)
        .group_by(Recipient.slice_number)
    )
    names = ["org_id", "campaign_id", "job_id", "number", "state", "size", "due_at", "target_id", *zeros]
    session.execute(insert(Slice).from_select(names, sizes))
    slices, recipients = session.execute(
        select(func.count(), func.coalesce(func.sum(Slice.size), 0)).where(
            Slice.job_id == job.id, Slice.number >= base
        )
    ).one()
    session.execute(
        update(Job)
        .where(Job.id == job.id)
        .values(total=Job.total + recipients, slices_total=Job.slices_total + slices, updated_at=now)
        .execution_options(synchronize_session=False)
    )
    return int(recipients)
