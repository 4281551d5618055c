"""Moves of a campaign that delivery itself makes: its row is locked, its status changes, and it is paused.

Everything else of a campaign's life is `engine.campaigns.lifecycle`'s, which uses these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.delivery.enrol import guard
from engine.delivery.jobs import hold_jobs
from engine.events.outbox import record
from engine.kernel import listing
from engine.kernel.rule_violations import RuleCode, RuleViolation
from state.change import change_status, clock_of
from state.errors import IllegalTransition, NotFound
from state.tables import Campaign
from state.transitions import CAMPAIGN, CampaignStatus

if TYPE_CHECKING:
    from typing import Any
    from uuid import UUID

    from sqlalchemy.orm import Session

__all__ = ["locked", "move", "pause"]


def locked(session: Session, org_id: UUID, campaign_id: UUID, *, activates: bool = False) -> Campaign:
    """The campaign, its row locked: every move of its life waits its turn here.

    Args:
        activates: What follows may start delivery, and takes the enrolment lock: before any row (`guard`).

    Raises:
        RuleViolation: CAMPAIGN_NOT_FOUND.
    """
    if activates:
        guard(session, org_id, activates=True)
    campaign = listing.held(session, Campaign, org_id, campaign_id)
    if campaign is None:
        raise RuleViolation(RuleCode.CAMPAIGN_NOT_FOUND, f"campaign {campaign_id} does not exist")
    return campaign


def move(session: Session, campaign: Campaign, wanted: CampaignStatus, **values: Any) -> None:
    """Change the status of a campaign whose row is locked, by compare-and-set, and write `values` with it.

    Raises:
        RuleViolation: CAMPAIGN_HAS_UNEXPECTED_STATUS.
    """
    now = clock_of(session).now()
    try:
        change_status(
            session,
            CAMPAIGN,
            wanted,
            Campaign.id == campaign.id,
            Campaign.org_id == campaign.org_id,
            key=campaign.id,
            updated_at=now,
            **values,
        )
    except (IllegalTransition, NotFound) as error:
        raise RuleViolation(RuleCode.CAMPAIGN_HAS_UNEXPECTED_STATUS, str(error)) from error
    session.refresh(campaign)


def pause(
    session: Session, org_id: UUID, campaign_id: UUID, *, by: str | None = None, reason: str | None = None
) -> None:
    """Hold the campaign's jobs: active or activating → paused. Nothing new is sent, nobody is given up.

    Args:
        by: Who or what pauses it, shown where its status is asked.
        reason: Why, for events about it.

    Raises:
        RuleViolation: it is not there, or in no status that can be paused.
    """
    campaign = locked(session, org_id, campaign_id)
    move(session, campaign, CampaignStatus.PAUSED, paused_at=clock_of(session).now(), paused_by=by)
    hold_jobs(session, org_id, campaign_id, held=True)
    said: dict[str, Any] = {
        name: value for name, value in (("by", by), ("reason", reason)) if value is not None
    }
    record(session, org_id, "campaign.paused", campaign_id=campaign_id, **said)
