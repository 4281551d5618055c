"""Whether what limits a campaign leaves it anything to do: an hour to send in, and money for a message.

Hours of the campaign and of the organization are both the recipient's own (engine.limits.hours), so they are compared
without any zone; whether one of them comes before the campaign ends depends on the zone, and is refused only where it
does in none.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, or_, select

from engine.channels.default_channel import default_channel
from engine.kernel.inputs import Invalid
from engine.limits.config import CampaignLimits, OrganizationLimits
from engine.limits.hours import Hours
from engine.limits.windows import DAYS
from state.change import clock_of
from state.tables import Campaign, Channel, Organization, Touchpoint
from state.transitions import CampaignStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.limits.windows import Window

__all__ = ["check_budget", "check_hours", "check_organization_hours"]

#: Where somebody may live: every full hour from the first place where a day begins to the last, and those in between.
_ZONES = (
    *(f"Etc/GMT{offset:+d}" for offset in range(-14, 13)),
    "Asia/Kolkata",
    "Asia/Kathmandu",
)
_RUNS = (CampaignStatus.ACTIVATING, CampaignStatus.ACTIVE, CampaignStatus.PAUSED)


def check_hours(session: Session, campaign: Campaign) -> None:
    """See that the campaign has an hour to send in, by its own limits and the organization's, before it ends.

    Raises:
        Invalid: it has none; names the limit or the date, and both that forbid it.
    """
    organization = session.get_one(Organization, campaign.org_id)
    own, general = _limits(campaign.limits), _limits(organization.limits)
    hours = Hours([general, own], default_zone=organization.time_zone)
    if not hours.limited:
        return
    if hours.never:
        raise Invalid(_field(own), f"{_words(own, general)} leave no hour to send in")
    now = clock_of(session).now()
    begins, ends = max(now, campaign.starts_at or now), _end_of(campaign)
    if ends is None or ends <= begins:
        return
    if all((hours.opens_in(zone, begins) or begins) >= ends for zone in _ZONES):
        raise Invalid(
            _field(own), f"{_words(own, general)} leave no hour to send in before it ends, {ends.isoformat()}"
        )


def check_organization_hours(session: Session, org_id: UUID, limits: OrganizationLimits | None) -> None:
    """See that the organization's new limits leave every campaign that runs or is paused an hour to send in.

    Raises:
        Invalid: one has none; names it, and both that forbid it.
    """
    if limits is None or not (limits.send_windows or limits.quiet_hours):
        return
    rows = session.execute(
        select(Campaign.name, Campaign.limits)
        .where(Campaign.org_id == org_id, Campaign.status.in_(_RUNS), Campaign.limits.is_not(None))
        .order_by(Campaign.created_at, Campaign.id)
    )
    for name, kept in rows:
        own = _limits(kept)
        if Hours([limits, own]).never:
            raise Invalid(
                _field(limits), f"{_words(own, limits)} leave the campaign {name!r} no hour to send in"
            )


def check_budget(session: Session, campaign: Campaign) -> None:
    """See that the budget is enough for one message over the cheapest channel that the campaign sends through.

    Raises:
        Invalid: it is not.
    """
    if campaign.budget is None:
        return
    if campaign.budget <= 0:
        raise Invalid("budget", "must be above 0; leave it out for none")
    channel_ids = set(
        session.scalars(
            select(Touchpoint.channel_id).where(
                Touchpoint.org_id == campaign.org_id,
                Touchpoint.flow_id == campaign.flow_id,
                Touchpoint.type == "message",
                Touchpoint.status == "active",
            )
        )
    )
    named = Channel.id.in_([channel_id for channel_id in channel_ids if channel_id is not None])
    default = default_channel(session, campaign.org_id) if None in channel_ids else None
    which = named if default is None else or_(named, Channel.id == default.id)
    price = session.scalar(
        select(func.min(Channel.cost_per_message)).where(Channel.org_id == campaign.org_id, which)
    )
    if price is not None and campaign.budget < price:
        raise Invalid("budget", f"{campaign.budget:g} is less than one message costs, which is {price:g}")


def _limits(kept: Mapping[str, Any] | None) -> CampaignLimits:
    return CampaignLimits.model_validate(kept or {})


def _end_of(campaign: Campaign) -> datetime | None:
    if campaign.ends_at is not None or campaign.end_date is None:
        return campaign.ends_at
    return datetime.combine(campaign.end_date + timedelta(days=1), time(), UTC)


def _field(limits: CampaignLimits) -> str:
    if limits.send_windows:
        return "limits.send_windows"
    return "limits.quiet_hours" if limits.quiet_hours else "limits"


def _words(own: CampaignLimits, general: CampaignLimits) -> str:
    """All hours that forbid it, and whose they are."""
    said = [
        f"{owner} {what} ({_times(windows)})"
        for owner, limits in (("the campaign's", own), ("the organization's", general))
        for what, windows in (("send windows", limits.send_windows), ("quiet hours", limits.quiet_hours))
        if windows
    ]
    return " and ".join(said)


def _times(windows: Iterable[Window]) -> str:
    said = []
    for window in windows:
        days = "" if len(set(window.days)) == len(DAYS) else ", ".join(window.days) + " "
        said.append(f"{days}{window.begin} to {window.end}")
    return "; ".join(said)
