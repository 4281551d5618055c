"""A campaign of which too much comes back is paused: refused addresses, bounces, complaints. Everybody is pending.

Counted are refusals for good by the provider, bounces that are reported later, and complaints; what counts against them
is every outcome there is. Workers look when a slice had refusals, the sweeper when something was reported. A person who
resumes such a campaign has seen it: what came back until then does not count again.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import structlog
from sqlalchemy import exists, func, select, update

from engine.delivery.campaign_moves import pause
from engine.engagement.engagement import Kind
from engine.kernel.for_each import for_each
from engine.kernel.rule_violations import RuleViolation
from engine.limits.config import CampaignLimits, OrganizationLimits, ReturnBreaker
from state.tables import Campaign, EngagementHour, Job, Organization, Recipient, Slice
from state.transitions import SENDING, AutomationStatus, CampaignStatus, SliceState

if TYPE_CHECKING:
    from typing import Any
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.kernel.runtime import Runtime

__all__ = ["PAUSED_BY", "WAITS_FOR", "Returns", "is_refusal", "pause_for_returns", "pause_returned"]

log = structlog.get_logger(__name__)

#: What `paused_by` of the campaign and `waits_for` of its jobs say then.
PAUSED_BY = "bounces and complaints"
WAITS_FOR = "returns"
#: So many complaints at least: one of a hundred is no rate.
_COMPLAINTS = 3
#: Codes of refusals for good by a provider; others are time-outs, doubt, or faults of our own.
_REFUSAL = re.compile(
    r"SMTP_5\d\d|(\w+_)?HTTP_4(?!08|09|25|29)\d\d|HTTP_NOT_ACCEPTED|(TWILIO|WHATSAPP)_\d+|VOICE_REFUSED"
    r"|TELEGRAM_([A-Z_]+|4(?!29)\d\d)|APPRISE_4(?!08|09|25|29)\d\d"
)


class Returns(NamedTuple):
    """What became of a campaign's messages."""

    outcomes: int
    """Messages that were taken or failed."""
    bounced: int
    """Of them: refused for good, or reported to have bounced."""
    complained: int

    def since(self, seen: dict[str, Any] | None) -> Returns:
        """Without what was seen before."""
        known = Returns(**seen) if seen else Returns(0, 0, 0)
        return Returns(*(max(now - then, 0) for now, then in zip(self, known, strict=True)))

    def excess(self, breaker: ReturnBreaker) -> str | None:
        """What is too much, in words; None: nothing."""
        if self.outcomes < breaker.after:
            return None
        for count, least, limit, words in (
            (self.bounced, 1, breaker.bounces, "bounced or were refused for good"),
            (self.complained, _COMPLAINTS, breaker.complaints, "brought a complaint"),
        ):
            share = 100 * count / self.outcomes
            if limit is not None and count >= least and share >= limit:
                return f"{count:,} of {self.outcomes:,} messages ({share:.1f} %) {words}; the limit is {limit:g} %"
        return None


def is_refusal(code: str) -> bool:
    """Whether a recipient that failed with this code was refused by its provider for good."""
    return _REFUSAL.fullmatch(code) is not None


def returns_of(session: Session, org_id: UUID, campaign_id: UUID) -> Returns:
    """Those of a campaign, of all its jobs. Four statements by index."""
    mine = (Job.org_id == org_id, Job.campaign_id == campaign_id)
    ended = session.execute(
        select(func.coalesce(func.sum(Job.success + Job.failed), 0)).where(*mine)
    ).scalar_one()
    leased = session.execute(
        select(func.coalesce(func.sum(Slice.success + Slice.failed), 0))
        .join(Job, Job.id == Slice.job_id)
        .where(*mine, Job.status.in_(SENDING), Slice.state == SliceState.LEASED)
    ).scalar_one()
    failed = session.execute(  # index ix_recipient_failed
        select(Recipient.error_code, func.count())
        .where(
            Recipient.campaign_id == campaign_id,
            Recipient.org_id == org_id,
            Recipient.automation_status == AutomationStatus.FAILED,
            Recipient.error_code.is_not(None),
        )
        .group_by(Recipient.error_code)
    )
    refused = sum(int(count) for code, count in failed if code is not None and is_refusal(code))
    reported = dict(
        session.execute(
            select(EngagementHour.kind, func.sum(EngagementHour.events))
            .where(
                EngagementHour.org_id == org_id,
                EngagementHour.campaign_id == campaign_id,
                EngagementHour.kind.in_((Kind.BOUNCED, Kind.COMPLAINED)),
            )
            .group_by(EngagementHour.kind)
        ).all()
    )
    bounced = refused + int(reported.get(Kind.BOUNCED, 0))
    return Returns(int(ended) + int(leased), bounced, int(reported.get(Kind.COMPLAINED, 0)))


def _breaker_of(session: Session, campaign: Campaign) -> ReturnBreaker | None:
    """The campaign's own, else the organization's; None: it is switched off."""
    if "breaker" in (campaign.limits or {}):
        return CampaignLimits.model_validate(campaign.limits).breaker
    limits = session.execute(
        select(Organization.limits).where(Organization.id == campaign.org_id)
    ).scalar_one()
    return OrganizationLimits.model_validate(limits or {}).breaker


def pause_for_returns(session: Session, org_id: UUID, campaign_id: UUID) -> bool:
    """Pause a running campaign of which too much came back; returns whether it was."""
    campaign = session.get(Campaign, campaign_id)
    if campaign is None or campaign.org_id != org_id or campaign.status not in _RUNNING:
        return False
    breaker = _breaker_of(session, campaign)
    if breaker is None:
        return False
    returns = returns_of(session, org_id, campaign_id)
    excess = returns.since(campaign.returns_seen).excess(breaker)
    if excess is None:
        return False
    reason = f"{excess}. Look at where the addresses are from; resuming counts anew"
    with suppress(RuleViolation):
        pause(session, org_id, campaign_id, by=PAUSED_BY, reason=reason)
        session.execute(
            update(Campaign)
            .where(Campaign.id == campaign_id, Campaign.org_id == org_id)
            .values(returns_seen=returns._asdict())
            .execution_options(synchronize_session=False)
        )
        session.execute(
            update(Job)
            .where(Job.org_id == org_id, Job.campaign_id == campaign_id, Job.held.is_(True))
            .values(waits_reason=reason[:1000], waits_for=WAITS_FOR, waits_until=None)
            .execution_options(synchronize_session=False)
        )
        log.warning("campaign.returned", campaign_id=str(campaign_id), reason=reason)
        return True
    return False


_RUNNING = (CampaignStatus.ACTIVE, CampaignStatus.ACTIVATING)


def pause_returned(runtime: Runtime) -> int:
    """Pause running campaigns of which too much was reported, of all organizations; returns how many. The sweeper's. A
    campaign is a transaction.
    """
    running = exists().where(Job.campaign_id == Campaign.id, Job.status.in_(SENDING), Job.held.is_(False))
    reported = exists().where(
        EngagementHour.campaign_id == Campaign.id,
        EngagementHour.kind.in_((Kind.BOUNCED, Kind.COMPLAINED)),
    )
    with runtime.database.read() as session:
        found = session.execute(
            select(Campaign.org_id, Campaign.id)
            .where(Campaign.status.in_(_RUNNING), running, reported)
            .order_by(Campaign.id)
        ).all()

    def pause(campaign: tuple[UUID, UUID]) -> int:
        with runtime.transaction() as session:
            return int(pause_for_returns(session, *campaign))

    return for_each([(org_id, campaign_id) for org_id, campaign_id in found], pause)
