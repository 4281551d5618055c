"""The statements of a wave: load a slice's recipients, claim some, settle some.

All of them run under `slices.hold`, which has locked the slice. Each touches at most 100 rows (500 when loading), by
primary key, in one round trip.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import ColumnElement, String, Text, Uuid, case, func, literal, select, update

from state.change import clock_of, sources_of
from state.sets import among, rows
from state.tables import Entity, Recipient, Slice
from state.transitions import AUTOMATION, AutomationStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sqlalchemy.orm import Session

    from engine.delivery.outcomes import Settlement
    from engine.delivery.slices import Lease

__all__ = ["Due", "cancel_pending", "claim", "load", "next_due", "settle"]


@dataclass(frozen=True, slots=True)
class Due:
    """A recipient that is to be delivered to, and what a template may say about it."""

    entity_id: UUID
    attributes: dict[str, Any] | None
    """Absent: the entity was deleted after it was planned."""


def _of(lease: Lease) -> tuple[ColumnElement[bool], ...]:
    return (Recipient.job_id == lease.job_id, Recipient.slice_number == lease.number)


def load(session: Session, lease: Lease) -> list[Due]:
    """The slice's recipients that are pending and due, in key order.

    Index ix_recipient_job_id_slice_number_entity_id; entities by primary key.
    """
    now = clock_of(session).now()
    found = session.execute(
        select(Recipient.entity_id, Entity.attributes, Entity.title, Entity.external_id, Entity.id)
        .outerjoin(Entity, (Entity.id == Recipient.entity_id) & (Entity.org_id == lease.org_id))
        .where(
            *_of(lease),
            Recipient.automation_status == AutomationStatus.PENDING,
            (Recipient.due_at.is_(None)) | (Recipient.due_at <= now),
        )
        .order_by(Recipient.entity_id)
    )
    return [
        Due(
            entity_id,
            None
            if known is None
            else {**attributes, "_id": str(entity_id), "_title": title, "external_id": external_id},
        )
        for entity_id, attributes, title, external_id, known in found
    ]


def claim(
    session: Session, lease: Lease, entity_ids: Sequence[UUID], *, again: bool = False
) -> dict[UUID, tuple[UUID, int]]:
    """Move pending recipients to `in_progress`: attempt + 1, in flight, an execution id if they have none yet.

    Args:
        again: The commit of an earlier call may or may not have happened (the connection died in it). Rows it did
            claim are ours, unsent, and are taken as they are.

    Returns:
        Of those that were claimed: entity id → (execution id, attempt).
    """
    if not entity_ids:
        return {}
    pending = Recipient.automation_status == AutomationStatus.PENDING
    claimable = pending | Recipient.in_flight.is_(True) if again else pending
    claimed = session.execute(
        update(Recipient)
        .where(
            Recipient.campaign_id == lease.campaign_id,
            among(session, Recipient.entity_id, entity_ids),
            *_of(lease),
            claimable,
        )
        .values(
            automation_status=AutomationStatus.IN_PROGRESS,
            execution_id=func.coalesce(Recipient.execution_id, func.gen_random_uuid()),
            attempt=case((Recipient.in_flight.is_(True), Recipient.attempt), else_=Recipient.attempt + 1),
            in_flight=True,
            due_at=None,
            updated_at=clock_of(session).now(),
        )
        .returning(Recipient.entity_id, Recipient.execution_id, Recipient.attempt)
        .execution_options(synchronize_session=False)
    )
    return {entity_id: (execution_id, attempt) for entity_id, execution_id, attempt in claimed}


def settle(session: Session, lease: Lease, settlements: Iterable[Settlement], *, in_flight: int) -> None:
    """Write outcomes, and count them on the slice.

    Equal settlements travel in one statement. A recipient whose status somebody changed meanwhile through an API
    keeps that status; its outcome is not counted.

    Args:
        in_flight: How many recipients of the slice are still on the wire after this.
    """
    groups: dict[tuple[str, datetime | None, bool], list[Settlement]] = defaultdict(list)
    for item in settlements:
        groups[(item.status, item.due_at, item.refund)].append(item)
    counts: dict[str, int] = defaultdict(int)
    for (status, due_at, refund), group in groups.items():
        counts[status] += _write(session, lease, status, group, due_at=due_at, refund=refund)
    session.execute(
        update(Slice)
        .where(*lease.rows())
        .values(
            in_progress=in_flight,
            success=Slice.success + counts[AutomationStatus.SUCCESS],
            failed=Slice.failed + counts[AutomationStatus.FAILED],
            cancelled=Slice.cancelled + counts[AutomationStatus.CANCELLED],
        )
        .execution_options(synchronize_session=False)
    )


def _write(
    session: Session,
    lease: Lease,
    status: str,
    group: Sequence[Settlement],
    *,
    due_at: datetime | None,
    refund: bool,
) -> int:
    ids = [item.entity_id for item in group]
    ours = (Recipient.campaign_id == lease.campaign_id, *_of(lease), Recipient.in_flight.is_(True))
    statement = update(Recipient).where(*ours, sources_of(AUTOMATION, status))
    code: ColumnElement[Any]
    text: ColumnElement[Any]
    if all(item.error_code is None for item in group):
        statement = statement.where(among(session, Recipient.entity_id, ids))
        code, text = literal(None, String), literal(None, Text)
    else:
        given = rows(
            session,
            {"entity_id": Uuid, "error_code": String, "error_text": Text},
            [(item.entity_id, item.error_code, item.error_text) for item in group],
        )
        statement = statement.where(Recipient.entity_id == given.c.entity_id)
        code, text = given.c.error_code, given.c.error_text
    written = session.execute(
        statement.values(
            automation_status=status,
            in_flight=False,
            attempt=Recipient.attempt - int(refund),
            due_at=due_at,
            error_code=code,
            error_text=text,
            updated_at=clock_of(session).now(),
        ).execution_options(synchronize_session=False)
    ).rowcount  # type: ignore[attr-defined]
    if written < len(ids):  # somebody set another status meanwhile; it stands, only the flight is over
        session.execute(
            update(Recipient)
            .where(*ours, among(session, Recipient.entity_id, ids))
            .values(in_flight=False)
            .execution_options(synchronize_session=False)
        )
    return int(written)


def next_due(session: Session, lease: Lease) -> datetime | None:
    """When the earliest pending recipient of the slice is due; None when none is pending."""
    now = clock_of(session).now()
    found = session.execute(
        select(func.count(), func.min(func.coalesce(Recipient.due_at, now))).where(
            *_of(lease), Recipient.automation_status == AutomationStatus.PENDING
        )
    ).one()
    return None if found[0] == 0 else found[1]


def cancel_pending(session: Session, lease: Lease) -> int:
    """Record the slice's pending recipients as cancelled; returns how many. Their job was cancelled."""
    cancelled = session.execute(
        update(Recipient)
        .where(*_of(lease), Recipient.automation_status == AutomationStatus.PENDING)
        .values(
            automation_status=AutomationStatus.CANCELLED,
            error_code="JOB_CANCELLED",
            error_text=None,
            due_at=None,
            updated_at=clock_of(session).now(),
        )
        .execution_options(synchronize_session=False)
    ).rowcount  # type: ignore[attr-defined]
    session.execute(
        update(Slice)
        .where(*lease.rows())
        .values(cancelled=Slice.cancelled + cancelled)
        .execution_options(synchronize_session=False)
    )
    return int(cancelled)
