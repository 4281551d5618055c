"""Starts that wait for their time, as rows: made, listed, called off. `start_scheduled` starts them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from sqlalchemy import update

from engine.events.outbox import record
from engine.insight.scheduled_starts import WAITING, next_due
from engine.kernel.inputs import Invalid
from engine.kernel.listing import find
from state.change import clock_of
from state.errors import IllegalTransition
from state.tables import ScheduledRun

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

    from state.tables import Campaign

__all__ = ["call_off", "call_off_one", "follow_start", "schedule"]


def schedule(
    session: Session,
    campaign: Campaign,
    *,
    due_at: datetime,
    reach: float,
    priority: str,
    asked_at: datetime | None = None,
) -> ScheduledRun:
    """Keep a start for `due_at`, instead of one that waits. The caller holds the campaign.

    Args:
        asked_at: The time that was asked for; None: the campaign's start, whenever that is.
    """
    now = clock_of(session).now()
    call_off(session, campaign.org_id, campaign.id, f"another start took its place, at {due_at.isoformat()}")
    row = ScheduledRun(
        id=uuid4(),
        org_id=campaign.org_id,
        campaign_id=campaign.id,
        due_at=due_at,
        asked_at=asked_at,
        reach=reach,
        priority=priority,
        created_at=now,
        updated_at=now,
    )
    session.add(row)
    session.flush()
    _announce(session, row)
    return row


def follow_start(session: Session, campaign: Campaign) -> None:
    """Move the start that waits to where the campaign's dates put it now. The caller holds the campaign.

    It is the time that was asked for, else the campaign's start; never before that start; at once where neither is.

    Raises:
        Invalid: the campaign would end before then.
    """
    row = next_due(session, campaign.org_id, [campaign.id]).get(campaign.id)
    if row is None:
        return
    now = clock_of(session).now()
    due_at = row.asked_at or campaign.starts_at or now
    if campaign.starts_at is not None:
        due_at = max(due_at, campaign.starts_at)
    if campaign.ends_at is not None and campaign.ends_at <= due_at:
        raise Invalid("ends_at", f"is not behind the start that is scheduled for {due_at.isoformat()}")
    if due_at != row.due_at:
        row.due_at, row.updated_at = due_at, now
        session.flush()
        _announce(session, row)


def _announce(session: Session, row: ScheduledRun) -> None:
    record(
        session,
        row.org_id,
        "campaign.scheduled",
        campaign_id=row.campaign_id,
        job_id=row.id,
        due_at=row.due_at.isoformat(),
    )


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
