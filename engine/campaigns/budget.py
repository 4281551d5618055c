"""A campaign stops when its budget is spent: paused, with the reason, nobody lost.

What was spent is in the roll-ups as soon as a slice is given back (engine.insight.statistics); the sweeper looks at it
every round. What is sent between two rounds, and what workers have in hand, may go beyond: at most the job's window of
slices and the messages of one sweep interval. Resuming a campaign whose budget was not raised pauses it again.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import exists, func, select

from engine.campaigns import lifecycle
from engine.kernel.for_each import for_each
from engine.kernel.rule_violations import RuleViolation
from state.tables import Campaign, DeliveryHour, Job
from state.transitions import SENDING, CampaignStatus

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.kernel.runtime import Runtime

__all__ = ["PAUSED_BY", "pause_spent", "spent"]

log = structlog.get_logger(__name__)

#: What `paused_by` says then.
PAUSED_BY = "budget"


def spent(session: Session, org_id: UUID, campaign_id: UUID) -> float:
    """What a campaign has cost, in the organization's currency. Reads as many rows as there were hours."""
    total = select(func.sum(DeliveryHour.cost)).where(
        DeliveryHour.campaign_id == campaign_id, DeliveryHour.org_id == org_id
    )
    return float(session.execute(total).scalar_one() or 0)


def pause_spent(runtime: Runtime) -> int:
    """Pause running campaigns whose budget is spent, of all organizations; returns how many. The sweeper's. A campaign
    is a transaction.
    """
    with runtime.database.read() as session:
        found = _overspent(session)

    def pause(campaign: tuple[UUID, UUID]) -> int:
        org_id, campaign_id = campaign
        with (
            suppress(RuleViolation),
            runtime.transaction() as session,
        ):  # refused: somebody stopped it meanwhile
            lifecycle.pause(session, org_id, campaign_id, by=PAUSED_BY)
            log.info("campaign.budget_spent", campaign_id=str(campaign_id))
            return 1
        return 0

    return for_each(found, pause)


def _overspent(session: Session) -> list[tuple[UUID, UUID]]:
    """Organization and id. Looks at campaigns with a budget and an open job only: index ix_job_open."""
    running = exists().where(
        Job.campaign_id == Campaign.id,
        Job.status.in_(SENDING),
        Job.held.is_(False),
    )
    cost = (
        select(func.coalesce(func.sum(DeliveryHour.cost), 0))
        .where(DeliveryHour.campaign_id == Campaign.id)
        .scalar_subquery()
    )
    found = session.execute(
        select(Campaign.org_id, Campaign.id)
        .where(
            Campaign.status.in_((CampaignStatus.ACTIVE, CampaignStatus.ACTIVATING)),
            Campaign.budget.is_not(None),
            running,
            cost >= Campaign.budget,
        )
        .order_by(Campaign.id)
    )
    return [(org_id, campaign_id) for org_id, campaign_id in found]
