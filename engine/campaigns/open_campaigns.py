"""Campaigns as dialects with free fields write them: what we do not know is kept as it was written.

They are the campaigns of `engine.campaigns.campaigns`; a name, a description, a channel type and whether an address is
written to once are all that is known of them here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import ConfigDict, StrictBool, StringConstraints
from sqlalchemy import select

from engine.campaigns import campaigns
from engine.campaigns.campaigns import CampaignInput
from engine.campaigns.configuration import AS_WRITTEN, configure, lock_flows, read_configuration, written_of
from engine.campaigns.touchpoints import READ_ONLY, find_campaign
from engine.kernel import listing
from engine.kernel.inputs import Input, LongText, Name
from state.tables import Campaign, Touchpoint

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from sqlalchemy.orm import Session

    from state.transitions import CampaignStatus

__all__ = [
    "SORTABLE",
    "CampaignRewritten",
    "CampaignWritten",
    "campaign_as_written",
    "create_open_campaign",
    "list_open_campaigns",
    "update_open_campaign",
]

#: What is known here and comes back only where it was written.
_WRITTEN = frozenset(("channel_type", "one_per_address"))
SORTABLE = ("created_at", "updated_at", "name", "status")


class CampaignWritten(Input):
    """A campaign as its author writes it. Fields that are not named here are kept and given back."""

    model_config = ConfigDict(extra="allow")

    name: Name
    description: LongText | None = None
    channel_type: Annotated[str, StringConstraints(max_length=64)] | None = None
    """whatsapp, email, or a channel's kind: what touchpoints are sent over that name no channel themselves."""

    one_per_address: StrictBool | None = None
    """Of recipients who share an address, the first alone is written to; absent: yes."""


class CampaignRewritten(CampaignWritten):
    """What is to be different; what is not given stays."""

    name: Name = ""


def create_open_campaign(session: Session, org_id: UUID, given: CampaignWritten) -> Campaign:
    """Keep a campaign, as a draft."""
    known = CampaignInput(
        name=given.name, description=given.description, one_per_address=given.one_per_address is not False
    )
    campaign = campaigns.create_campaign(session, org_id, known)
    campaign.extras = {**campaign.extras, AS_WRITTEN: _kept(given)}
    session.flush()
    return campaign


def list_open_campaigns(
    session: Session,
    org_id: UUID,
    *,
    statuses: Sequence[CampaignStatus] = (),
    sort: str = "-created_at",
    limit: int = listing.MAX_LIMIT,
    offset: int = 0,
) -> listing.Page[Campaign]:
    """Campaigns in these statuses (empty: all).

    Raises:
        Invalid: `sort`, `limit` or `offset` cannot be used.
    """
    conditions = [Campaign.status.in_(statuses)] if statuses else []
    return listing.page_by_offset(
        session, Campaign, org_id, *conditions, sort=sort, sortable=SORTABLE, limit=limit, offset=offset
    )


def update_open_campaign(
    session: Session, org_id: UUID, campaign_id: str, given: CampaignRewritten
) -> Campaign:
    """Change the fields that are given, each as a whole. Another channel type takes its touchpoints with it.

    Raises:
        NotFound: there is none.
    """
    campaign = find_campaign(session, org_id, campaign_id, lock=True)
    if "name" in given.model_fields_set:
        campaign.name = given.name
    if "description" in given.model_fields_set:
        campaign.description = given.description
    if "one_per_address" in given.model_fields_set:
        campaign.one_per_address = given.one_per_address is not False
    written = campaign.extras.get(AS_WRITTEN, {})
    if kept := _kept(given):
        campaign.extras = {**campaign.extras, AS_WRITTEN: {**written, **kept}}
    if kept.get("channel_type", written.get("channel_type")) != written.get("channel_type"):
        _reconfigure(session, campaign)
    listing.stamp(session, campaign)
    session.flush()
    return campaign


def campaign_as_written(campaign: Campaign) -> dict[str, Any]:
    """Every field of the campaign but its id, status and times."""
    written = dict(campaign.extras.get(AS_WRITTEN, {}))
    for name in _WRITTEN:
        if written.get(name, ...) is None:
            del written[name]
    return {
        **written,
        "name": campaign.name,
        **({} if campaign.description is None else {"description": campaign.description}),
    }


def _kept(given: CampaignWritten) -> dict[str, Any]:
    extra = given.model_extra or {}
    kept = {name: value for name, value in extra.items() if name not in READ_ONLY}
    for name in _WRITTEN & given.model_fields_set:
        kept[name] = getattr(given, name)
    return kept


def _reconfigure(session: Session, campaign: Campaign) -> None:
    """Let the touchpoints that follow the campaign's channel type follow it. Those made as part of a flow do not."""
    if campaign.flow_id is None:
        return
    lock_flows(session, campaign.org_id, campaign.flow_id)
    rows = select(Touchpoint).where(
        Touchpoint.org_id == campaign.org_id, Touchpoint.flow_id == campaign.flow_id
    )
    for row in session.scalars(rows.with_for_update()):
        if AS_WRITTEN in row.extras:
            written = written_of(row)
            found = read_configuration(session, campaign.org_id, row.type, written, campaign)
            configure(row, written, found)
            listing.stamp(session, row)
