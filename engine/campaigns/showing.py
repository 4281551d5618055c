"""Where a campaign is shown: `getCampaignPortals` (docs/contract/targeting.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from engine.kernel.rule_violations import RuleCode, RuleViolation
from state.tables import Campaign, Portal, Widget

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session

__all__ = ["SHOWING", "shown_on"]

#: Widget types that show a campaign; others may name one for reasons of their own.
SHOWING = ("CAMPAIGN_WIDGET", "PRODUCT_RECOMMENDATIONS_WIDGET")


def shown_on(session: Session, org_id: UUID, campaign_id: UUID) -> list[tuple[Portal, list[Widget]]]:
    """The portals with widgets that show the campaign, and these; both oldest first. Two statements.

    Raises:
        RuleViolation: CAMPAIGN_NOT_FOUND.
    """
    known = select(Campaign.id).where(Campaign.id == campaign_id, Campaign.org_id == org_id)
    if session.execute(known).first() is None:
        raise RuleViolation(RuleCode.CAMPAIGN_NOT_FOUND, f"campaign {campaign_id} does not exist")
    found = session.execute(
        select(Portal, Widget)
        .join(Widget, Widget.portal_id == Portal.id)
        .where(Widget.org_id == org_id, Widget.campaign_id == campaign_id, Widget.type.in_(SHOWING))
        .order_by(Portal.created_at, Portal.id, Widget.created_at, Widget.id)
    )
    portals: dict[UUID, tuple[Portal, list[Widget]]] = {}
    for portal, widget in found:
        portals.setdefault(portal.id, (portal, []))[1].append(widget)
    return list(portals.values())
