"""What may be done with a campaign now: for views that offer it, by the same tables that the moves themselves obey."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from state.transitions import CAMPAIGN, AutomationStatus, CampaignStatus

if TYPE_CHECKING:
    from engine.insight.progress import Progress
    from state.tables import Campaign

__all__ = ["Move", "possible_moves"]


class Move(StrEnum):
    """One thing that an operator may do."""

    SEND = "send"
    """Execute it, now or at a time."""
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    """Cancel it for good."""
    RETRY = "retry"
    """Deliver again to those who failed."""
    CLONE = "clone"


def possible_moves(campaign: Campaign, progress: Progress) -> frozenset[Move]:
    """The moves that would not be refused for the campaign's status."""
    status = CampaignStatus(campaign.status)
    found = {Move.CLONE}
    if status == CampaignStatus.DRAFT or (status == CampaignStatus.ACTIVE and progress.over):
        found.add(Move.SEND)
    if status in (CampaignStatus.ACTIVE, CampaignStatus.ACTIVATING):
        found.add(Move.PAUSE)
    if status == CampaignStatus.PAUSED:
        found.add(Move.RESUME)
    if CAMPAIGN.allows(status, CampaignStatus.CANCELLED):
        found.add(Move.STOP)
    if campaign.flow_id is not None and progress.counts[AutomationStatus.FAILED] > 0:
        found.add(Move.RETRY)
    return frozenset(found)
