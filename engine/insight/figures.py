"""A campaign's figures for a list of campaigns: a few statements for all of them together, from counters alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from engine.insight.progress import progress_by_campaign
from state.sets import among
from state.tables import DeliveryHour, EngagementHour
from state.transitions import AutomationStatus

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from sqlalchemy.orm import Session

__all__ = ["Figures", "figures_of"]


@dataclass(frozen=True, slots=True)
class Figures:
    """In recipients, unless it says otherwise."""

    total: int = 0
    """Everybody who is or was to be written to; those who are excluded (suppressed, no address) are not."""
    sent: int = 0
    failed: int = 0
    conversions: int = 0
    cost: float = 0.0

    @property
    def processed(self) -> int:
        """With an outcome."""
        return self.sent + self.failed


def figures_of(session: Session, org_id: UUID, campaign_ids: Sequence[UUID]) -> dict[UUID, Figures]:
    """The figures of each campaign; four statements for a page of them."""
    progress = progress_by_campaign(session, org_id, campaign_ids)
    conversions = {
        campaign_id: int(count)
        for campaign_id, count in session.execute(
            select(EngagementHour.campaign_id, func.sum(EngagementHour.recipients))
            .where(
                EngagementHour.org_id == org_id,
                among(session, EngagementHour.campaign_id, campaign_ids),
                EngagementHour.kind == "converted",
            )
            .group_by(EngagementHour.campaign_id)
        )
    }
    costs = {
        campaign_id: float(cost)
        for campaign_id, cost in session.execute(
            select(DeliveryHour.campaign_id, func.sum(DeliveryHour.cost))
            .where(
                DeliveryHour.org_id == org_id,
                among(session, DeliveryHour.campaign_id, campaign_ids),
                DeliveryHour.cost > 0,
            )
            .group_by(DeliveryHour.campaign_id)
        )
    }
    return {
        campaign_id: Figures(
            total=its.wanted,
            sent=its.counts[AutomationStatus.SUCCESS],
            failed=its.counts[AutomationStatus.FAILED],
            conversions=conversions.get(campaign_id, 0),
            cost=costs.get(campaign_id, 0.0),
        )
        for campaign_id, its in progress.items()
    }
