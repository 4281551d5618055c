"""Campaigns that are being written: what is typed is kept as it stands, and becomes the campaign when it is finished.

A draft's document belongs to the program that shows the form; it may be unfinished in every way, and nothing here reads
it. What it means is given as a `DraftInput` when the campaign is to be planned: its audience becomes targets, its steps
a flow of the campaign's own, beside schedule and limits. Until it is sent, it may be written further and finished
again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID  # noqa: TC003 - pydantic reads it

import orjson
from pydantic import Field
from sqlalchemy import delete, select

from engine.campaigns.authoring import Plan, PlanChange, change_campaign, write_campaign
from engine.campaigns.campaigns import CampaignChange, update_campaign
from engine.campaigns.flows import FlowChange, FlowInput, TouchpointInput, create_flow, update_flow
from engine.filters.schema_names import SchemaName  # noqa: TC001 - pydantic reads it
from engine.filters.targets import TargetInput, create_target
from engine.kernel import listing
from engine.kernel.inputs import Input, Invalid, read
from engine.kernel.rule_violations import RuleCode, RuleViolation
from state.tables import Campaign, Flow, Target
from state.transitions import CampaignStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.orm import Session

__all__ = ["MAX_DOCUMENT", "DraftInput", "begin_draft", "draft_of", "finish_draft", "keep_draft"]

#: Where a campaign keeps it, among its extras.
_DRAFT = "draft"
#: Bytes of a document as JSON.
MAX_DOCUMENT = 4_000_000


class DraftInput(Input):
    """Whom a finished document is for, and what its steps are."""

    entity_schema: SchemaName = "contact"
    entity_filters: dict[str, Any] | None = None
    """As in docs/contract/targeting.md; instead of `target_ids`."""
    target_ids: Annotated[list[UUID], Field(max_length=100)] = Field(default_factory=list)
    touchpoints: Annotated[list[TouchpointInput], Field(max_length=100)] = Field(default_factory=list)


def begin_draft(
    session: Session, org_id: UUID, name: str, document: Mapping[str, Any], *, by: str | None = None
) -> Campaign:
    """A new campaign, with what is written of it so far.

    Raises:
        Invalid: the name, or the document is too long.
    """
    campaign = write_campaign(session, org_id, read(Plan, {"name": name}), by=by)
    campaign.extras = {**campaign.extras, _DRAFT: _bounded(document)}
    session.flush()
    return campaign


def draft_of(campaign: Campaign) -> dict[str, Any] | None:
    """What is written of it; None: it was not written in a form, or has been sent."""
    found: dict[str, Any] | None = campaign.extras.get(_DRAFT)
    return found if campaign.status == CampaignStatus.DRAFT else None


def keep_draft(session: Session, org_id: UUID, campaign_id: UUID, document: Mapping[str, Any]) -> Campaign:
    """Keep what is written by now.

    Raises:
        NotFound: there is no such campaign.
        RuleViolation: it is no draft any more.
        Invalid: the document is too long.
    """
    campaign = listing.find(session, Campaign, org_id, campaign_id, lock=True)
    if campaign.status != CampaignStatus.DRAFT:
        raise RuleViolation(
            RuleCode.CAMPAIGN_HAS_UNEXPECTED_STATUS,
            f"campaign {campaign_id} is {campaign.status}: it can be written no further",
        )
    campaign.extras = {**campaign.extras, _DRAFT: _bounded(document)}
    listing.stamp(session, campaign)
    session.flush()
    return campaign


def finish_draft(
    session: Session, org_id: UUID, campaign_id: UUID, plan: PlanChange, given: DraftInput
) -> Campaign:
    """Make the campaign what its document says; it is a draft still, and can be planned.

    Raises:
        NotFound: there is no such campaign.
        RuleViolation: it is no draft any more.
        Invalid: something cannot be used; names the field. Nothing was changed.
    """
    if not given.touchpoints:
        raise Invalid("touchpoints", "it has no step: add a message")
    campaign = change_campaign(session, org_id, campaign_id, plan)
    target_ids = given.target_ids or [_own_target(session, campaign, given)]
    flow_id = _own_flow(session, campaign, given)
    return update_campaign(
        session, org_id, campaign_id, CampaignChange(target_ids=target_ids, flow_id=flow_id)
    )


def _own_target(session: Session, campaign: Campaign, given: DraftInput) -> UUID:
    """A target of the campaign's own, instead of an earlier one."""
    if not ((given.entity_filters or {}).get("filter") or {}).get("items"):
        raise Invalid("entity_filters", "say whom it is for: at least one condition, or a target")
    session.execute(delete(Target).where(Target.org_id == campaign.org_id, Target.campaign_id == campaign.id))
    fields = {"entity_schema": given.entity_schema, "entity_filters": given.entity_filters}
    target = create_target(session, campaign.org_id, TargetInput(name=campaign.name, **fields))
    target.campaign_id = campaign.id
    session.flush()
    return target.id


def _own_flow(session: Session, campaign: Campaign, given: DraftInput) -> UUID:
    """The flow that was made for the campaign, changed; or a new one."""
    flow_id = session.scalars(
        select(Flow.id).where(
            Flow.org_id == campaign.org_id, Flow.campaign_id == campaign.id, Flow.id == campaign.flow_id
        )
    ).one_or_none()
    if flow_id is not None:
        change = FlowChange(name=campaign.name, touchpoints=given.touchpoints)
        return update_flow(session, campaign.org_id, flow_id, change).id
    flow = create_flow(session, campaign.org_id, FlowInput(name=campaign.name, touchpoints=given.touchpoints))
    flow.campaign_id = campaign.id
    session.flush()
    return flow.id


def _bounded(document: Mapping[str, Any]) -> dict[str, Any]:
    if len(orjson.dumps(document)) > MAX_DOCUMENT:
        raise Invalid("document", f"has more than {MAX_DOCUMENT:,} bytes as JSON")
    return dict(document)
