"""Starts that wait for their time, as rows: made, listed, called off. `engine.campaigns.scheduling` starts them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from sqlalchemy import select, update

from engine.events.outbox import record
from engine.listing import find
from state.change import clock_of
from state.errors import IllegalTransition
from state.tables import ScheduledRun

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

    from state.tables import Campaign

__all__ = ["WAITING", "call_off", "call_off_one", "next_due", "schedule"]

WAITING = "waiting"


def schedule(
    session: Session, campaign: Campaign, *, due_at: datetime, reach: float, priority: str
) -> ScheduledRun:
    """Keep a start for `due_at`. The caller holds the campaign."""
    now = clock_of(session).now()
    row = ScheduledRun(
        id=uuid4(),
        org_id=campaign.org_id,
        campaign_id=campaign.id,
        due_at=due_at,
        reach=reach,
        priority=priority,
        created_at=now,
        updated_at=now,
    )
    session.add(row)
    session.flush()
    record(
        session,
        campaign.org_id,
        "campaign.scheduled",
        campaign_id=campaign.id,
        job_id=row.id,
        due_at=due_at.isoformat(),
    )
    return row


def next_due(session: Session, org_id: UUID, campaign_ids: Sequence[UUID]) -> dict[UUID, ScheduledRun]:
    """The start that comes next, of each of these campaigns that waits for one. Index ix_scheduled_run_waiting."""
    found = session.scalars(
        select(ScheduledRun)
        .where(
            ScheduledRun.org_id == org_id,
            ScheduledRun.campaign_id.in_(campaign_ids),
            ScheduledRun.status == WAITING,
        )
        .order_by(ScheduledRun.due_at.desc(), ScheduledRun.id.desc())
    )
    return {row.campaign_id: row for row in found}


def call_off_one(session: Session, org_id: UUID, run_id: UUID) -> ScheduledRun:
    """Call off a start that still waits.

    Raises:
        NotFound: there is no such start.
        IllegalTransition: it waits no more.
    """
    row = find(session, ScheduledRun, org_id, run_id, lock=True)
    if row.status != WAITING:
        raise IllegalTransition("scheduled run", run_id, row.status, "cancelled")
    call_off(session, org_id, row.campaign_id, "it was called off", ScheduledRun.id == run_id)
    session.refresh(row)
    return row


def call_off(
    session: Session, org_id: UUID, campaign_id: UUID, reason: str, *which: ColumnElement[bool]
) -> int:
    """Let nothing wait any more of a campaign; returns how many starts did."""
    now = clock_of(session).now()
    called_off = session.execute(
        update(ScheduledRun)
        .where(
            ScheduledRun.org_id == org_id,
            ScheduledRun.campaign_id == campaign_id,
            ScheduledRun.status == WAITING,
            *which,
        )
        .values(status="cancelled", reason=reason, ended_at=now, updated_at=now)
        .execution_options(synchronize_session=False)
    )
    return int(called_off.rowcount)  # type: ignore[attr-defined]
