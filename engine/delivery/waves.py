"""A wave: load a slice's recipients, claim some, settle some.

All of it runs under `slices.hold`, which has locked the slice. Each step is one round trip, on at most 100 rows (500
when loading); the statements stand in `engine.delivery.statements`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from orjson import loads
from sqlalchemy import update

from engine.delivery.outcomes import OUTCOME_UNKNOWN
from engine.delivery.slices import Tally
from engine.delivery.statements import execute, statements
from state.change import clock_of
from state.tables import Recipient
from state.transitions import AutomationStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.delivery.outcomes import Settlement
    from engine.delivery.slices import Lease

__all__ = ["Due", "Unsettled", "cancel_pending", "claim", "load", "next_due", "settle"]


class Due(NamedTuple):
    """A recipient that is to be delivered to, and what a template may say about it."""

    entity_id: UUID
    attributes: dict[str, Any] | None
    """Absent: the entity was deleted after it was planned."""
    doubted: bool
    """An earlier attempt of this execution may have arrived."""


def load(session: Session, lease: Lease) -> list[Due]:
    """The slice's recipients that are pending and due, in key order."""
    found = execute(
        session,
        statements(session).load,
        p_org_id=lease.org_id,
        p_job_id=lease.job_id,
        p_number=lease.number,
        p_now=clock_of(session).now(),
    )
    people = []
    for entity_id, error_code, text, title, external_id in found.all():
        doubted = error_code == OUTCOME_UNKNOWN
        if text is None:
            people.append(Due(entity_id, None, doubted))
            continue
        attributes = loads(text)
        attributes["_id"] = str(entity_id)
        attributes["_title"] = title
        attributes["external_id"] = external_id
        people.append(Due(entity_id, attributes, doubted))
    return people


def claim(
    session: Session, lease: Lease, entity_ids: list[UUID], *, again: bool = False
) -> dict[UUID, tuple[UUID, int]]:
    """Move pending recipients to `in_progress`: attempt + 1, in flight, an execution id if they have none yet.

    Args:
        again: The commit of an earlier call may or may not have happened (the connection died in it). Rows it did
            claim are ours, unsent, and are taken as they are.

    Returns:
        Of those that were claimed: entity id → (execution id, attempt).
    """
    ours = statements(session)
    claimed = execute(
        session,
        ours.claim_again if again else ours.claim,
        p_job_id=lease.job_id,
        p_number=lease.number,
        p_keys=entity_ids,
        p_now=clock_of(session).now(),
    )
    return {entity_id: (execution_id, attempt) for entity_id, execution_id, attempt in claimed.all()}


class Unsettled:
    """Outcomes that are known and not written yet. What is usual, a message that was taken, costs no object."""

    __slots__ = ("delivered", "others")

    def __init__(self) -> None:
        self.delivered: list[UUID] = []
        self.others: list[Settlement] = []

    def __bool__(self) -> bool:
        return bool(self.delivered or self.others)

    def clear(self) -> None:
        """They were written."""
        self.delivered.clear()
        self.others.clear()

    def tally(self, *, in_flight: int) -> Tally:
        """What they will count to, if nobody interferes."""
        counts = Counter(item.status for item in self.others)
        counts[AutomationStatus.SUCCESS] += len(self.delivered)
        return _tally(counts, in_flight)


def settle(session: Session, lease: Lease, unsettled: Unsettled, *, expected: Tally, in_flight: int) -> None:
    """Write outcomes, which `slices.hold` has counted as `expected`.

    Equal settlements travel in one statement. A recipient whose status somebody changed meanwhile through an API
    keeps that status, and its outcome is not counted.

    Args:
        in_flight: How many recipients of the slice are on the wire when this transaction ends.
    """
    counts: Counter[AutomationStatus] = Counter()
    if unsettled.delivered:
        counts[AutomationStatus.SUCCESS] += _write(
            session, lease, AutomationStatus.SUCCESS, unsettled.delivered
        )
    groups: dict[tuple[AutomationStatus, datetime | None, bool, bool], list[Settlement]] = defaultdict(list)
    for item in unsettled.others:
        groups[(item.status, item.due_at, item.refund, item.error_code is None)].append(item)
    for (status, due_at, refund, silent), group in groups.items():
        ids = [item.entity_id for item in group]
        errors = None if silent else [(item.error_code, item.error_text) for item in group]
        counts[status] += _write(session, lease, status, ids, errors, due_at=due_at, refund=refund)
    written = _tally(counts, in_flight)
    if written != expected:
        _correct(session, lease, written, expected)


def _tally(counts: Mapping[AutomationStatus, int], in_flight: int) -> Tally:
    return Tally(
        success=counts.get(AutomationStatus.SUCCESS, 0),
        failed=counts.get(AutomationStatus.FAILED, 0),
        cancelled=counts.get(AutomationStatus.CANCELLED, 0),
        in_flight=in_flight,
    )


def _correct(session: Session, lease: Lease, written: Tally, expected: Tally) -> None:
    difference = Tally(
        success=written.success - expected.success,
        failed=written.failed - expected.failed,
        cancelled=written.cancelled - expected.cancelled,
        in_flight=written.in_flight,
    )
    execute(
        session,
        statements(session).count,
        p_job_id=lease.job_id,
        p_number=lease.number,
        p_epoch=lease.epoch,
        **difference.parameters(),
    )


def _write(
    session: Session,
    lease: Lease,
    status: AutomationStatus,
    ids: list[UUID],
    errors: Sequence[tuple[str | None, str | None]] | None = None,
    *,
    due_at: datetime | None = None,
    refund: bool = False,
) -> int:
    """Write settlements that are equal but for their errors; returns how many were."""
    ours = statements(session)
    scope: dict[str, Any] = {"p_job_id": lease.job_id, "p_number": lease.number}
    values: dict[str, Any] = {"p_refund": int(refund), "p_due_at": due_at, "p_now": clock_of(session).now()}
    statement = ours.settle[status]
    if errors is not None:
        statement = ours.settle_each[status]
        values |= {"p_codes": [code for code, _ in errors], "p_texts": [text for _, text in errors]}
    written: int = execute(session, statement, p_keys=ids, **scope, **values).rowcount
    if written < len(ids):
        execute(session, ours.land, p_keys=ids, **scope)
    return written


def next_due(session: Session, lease: Lease) -> datetime | None:
    """When the earliest pending recipient of the slice is due; None when none is pending."""
    pending, earliest = execute(
        session,
        statements(session).next_due,
        p_job_id=lease.job_id,
        p_number=lease.number,
        p_now=clock_of(session).now(),
    ).one()
    return earliest if pending else None


def cancel_pending(session: Session, lease: Lease) -> int:
    """Record the slice's pending recipients as cancelled; returns how many. Their job was cancelled."""
    cancelled = session.execute(
        update(Recipient)
        .where(
            Recipient.job_id == lease.job_id,
            Recipient.slice_number == lease.number,
            Recipient.automation_status == AutomationStatus.PENDING,
        )
        .values(
            automation_status=AutomationStatus.CANCELLED,
            error_code="JOB_CANCELLED",
            error_text=None,
            due_at=None,
            updated_at=clock_of(session).now(),
        )
        .execution_options(synchronize_session=False)
    ).rowcount  # type: ignore[attr-defined]
    _correct(session, lease, Tally(cancelled=cancelled), Tally())
    return int(cancelled)
