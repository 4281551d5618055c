"""The start that a campaign waits for. `engine.campaigns.schedules` makes them and calls them off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from state.tables import ScheduledRun

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from sqlalchemy.orm import Session

__all__ = ["WAITING", "next_due"]

#: The status of a start that has not begun.
WAITING = "waiting"


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
