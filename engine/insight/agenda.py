"""What ran and what is scheduled within some days, of all campaigns together."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select

from state.tables import Campaign, Job, ScheduledRun

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

__all__ = ["MOST_RUNS", "AgendaItem", "agenda"]

#: Items of each kind at most.
MOST_RUNS = 500


class AgendaItem(NamedTuple):
    """One run, or one start that waits."""

    at: datetime
    """When it began, or is due."""
    campaign_id: UUID
    campaign: str
    status: str
    """The job's, or `scheduled`."""
    total: int
    """Recipients; 0 while nobody can say."""


def agenda(session: Session, org_id: UUID, since: datetime, until: datetime) -> list[AgendaItem]:
    """Runs that began, and starts that wait, from `since` to before `until`, in order. Two statements."""
    runs = session.execute(
        select(Job.created_at, Campaign.id, Campaign.name, Job.status, Job.total)
        .join(Campaign, Campaign.id == Job.campaign_id)
        .where(
            Job.org_id == org_id, Job.kind == "activation", Job.created_at >= since, Job.created_at < until
        )
        .order_by(Job.created_at)
        .limit(MOST_RUNS)
    )
    waiting = session.execute(
        select(ScheduledRun.due_at, Campaign.id, Campaign.name)
        .join(Campaign, Campaign.id == ScheduledRun.campaign_id)
        .where(
            ScheduledRun.org_id == org_id,
            ScheduledRun.status == "waiting",
            ScheduledRun.due_at >= since,
            ScheduledRun.due_at < until,
        )
        .order_by(ScheduledRun.due_at)
        .limit(MOST_RUNS)
    )
    items = [AgendaItem(*row) for row in runs]
    items += [AgendaItem(*row, "scheduled", 0) for row in waiting]
    return sorted(items)
