"""First contact: how a campaign gets in touch with enrolled targets (docs/contract/enrolled-targets.md,
"neighbours").

The settings are the campaign's; delivery knows nothing of them. They become what it has anyway: a flow of the
campaign's own (calls, waits between them, a WhatsApp message when the calls came to nothing, each but the first for
those who have not answered), and send windows for the working hours. So an attempt is a touchpoint, with everything
that those have: retries, limits, suppression, the timeline, pausing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID  # noqa: TC003 - pydantic reads it

from pydantic import Field, StringConstraints, model_validator

from engine.campaigns.channel_types import channel_of_type
from engine.campaigns.feasible import check_hours
from engine.campaigns.flows import FlowChange, FlowInput, TouchpointInput, create_flow, update_flow
from engine.delivery.limit_changes import limits_changed
from engine.kernel import listing
from engine.kernel.inputs import Input, InUse, Invalid, read
from engine.limits.config import CampaignLimits, stored
from engine.limits.windows import Window  # noqa: TC001 - pydantic reads it
from state.errors import NotFound
from state.tables import Campaign
from state.transitions import TargetStage

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


__all__ = ["FirstContact", "get_first_contact", "set_first_contact", "touchpoints"]

#: A week, in minutes.
_LONGEST = 7 * 24 * 60
#: Those who have not answered.
_SILENT: dict[str, Any] = {
    "filter": {
        "items": [
            {
                "key": "recipient.stage",
                "operator": "IS_ONE_OF",
                "value": [TargetStage.NEW, TargetStage.CONTACTED, TargetStage.UNREACHABLE],
            }
        ],
        "combination": "AND",
    }
}

_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4096)]


class FirstContact(Input):
    """The settings."""

    first_contact_channel: Literal["call", "whatsapp"] = "call"
    call_opening_message: _Text | None = None
    """What the agent says first; may say `{{ name }}` as templates do."""
    whatsapp_first_message: _Text | None = None
    whatsapp_after_attempts: Annotated[int, Field(ge=1, le=20)] = 3
    """After so many calls without an answer the WhatsApp message is sent, if there is one."""
    call_attempt_delays: Annotated[list[Annotated[int, Field(ge=1, le=_LONGEST)]], Field(max_length=19)] = (
        Field(default_factory=lambda: [60, 240])
    )
    """Minutes between one call and the next: one call more than there are delays."""
    call_working_hours: Annotated[tuple[Window, ...], Field(max_length=20)] = ()
    """Nobody is contacted outside of them; none: any time. In the customer's time zone (docs/limits.md)."""
    call_channel_id: UUID | None = None
    """Absent: the organization's voice channel."""
    whatsapp_channel_id: UUID | None = None

    @model_validator(mode="after")
    def _says_something(self) -> FirstContact:
        if self.first_contact_channel == "call" and self.call_opening_message is None:
            raise ValueError("call_opening_message is required where first contact is a call")
        if self.first_contact_channel == "whatsapp" and self.whatsapp_first_message is None:
            raise ValueError("whatsapp_first_message is required where first contact is by whatsapp")
        return self


def touchpoints(given: FirstContact, *, call: UUID | None, whatsapp: UUID | None) -> list[TouchpointInput]:
    """The sequence that the settings mean, over these channels."""
    written = TouchpointInput(
        type="message",
        name="WhatsApp",
        content={"text": given.whatsapp_first_message},
        channel_id=whatsapp,
        condition=_SILENT if given.first_contact_channel == "call" else None,
    )
    if given.first_contact_channel == "whatsapp":
        return [written]
    delays = given.call_attempt_delays
    steps: list[TouchpointInput] = []
    for attempt in range(1, len(delays) + 2):
        if attempt > 1:
            steps.append(TouchpointInput(type="wait", settings={"minutes": delays[attempt - 2]}))
        steps.append(
            TouchpointInput(
                type="message",
                name=f"Call {attempt}",
                content={"text": given.call_opening_message},
                channel_id=call,
                condition=_SILENT if attempt > 1 else None,
            )
        )
        if attempt == given.whatsapp_after_attempts and given.whatsapp_first_message is not None:
            last = delays[min(attempt, len(delays)) - 1] if delays else 60
            steps += [TouchpointInput(type="wait", settings={"minutes": last}), written]
    return steps


def set_first_contact(session: Session, org_id: UUID, campaign_id: UUID, given: FirstContact) -> FirstContact:
    """Give a campaign its first contact: writes its flow and its send windows. Who is on their way goes on by it.

    Raises:
        NotFound: there is no such campaign.
        InUse: it has a flow that was not made here.
        Invalid: a channel is missing, or a text is no template. Nothing was changed.
    """
    campaign = listing.find(session, Campaign, org_id, campaign_id, lock=True)
    if campaign.flow_id is not None and campaign.first_contact is None:
        raise InUse(f"campaign {campaign_id} has a flow already, which says how its recipients are contacted")
    calls = given.first_contact_channel == "call"
    writes = given.whatsapp_first_message is not None
    call, whatsapp = given.call_channel_id, given.whatsapp_channel_id
    if calls and call is None:
        call = _channel(session, org_id, "call_channel_id", "voice")
    if writes and whatsapp is None:
        whatsapp = _channel(session, org_id, "whatsapp_channel_id", "whatsapp")
    steps = touchpoints(given, call=call, whatsapp=whatsapp)
    name = f"First contact: {campaign.name}"[:150]
    if campaign.flow_id is None:
        flow = create_flow(session, org_id, FlowInput(name=name, touchpoints=steps))
        flow.campaign_id = campaign.id
        campaign.flow_id = flow.id
    else:
        update_flow(session, org_id, campaign.flow_id, FlowChange(name=name, touchpoints=steps))
    windows = [window.model_dump(mode="json", by_alias=True) for window in given.call_working_hours]
    limits = campaign.limits
    campaign.limits = stored(read(CampaignLimits, {**(campaign.limits or {}), "send_windows": windows}))
    check_hours(session, campaign)
    campaign.first_contact = given.model_dump(mode="json", by_alias=True, exclude_none=True)
    listing.stamp(session, campaign)
    session.flush()
    if campaign.limits != limits:
        limits_changed(session, org_id)
    return given


def get_first_contact(session: Session, org_id: UUID, campaign_id: UUID) -> FirstContact:
    """The settings of a campaign.

    Raises:
        NotFound: there is no such campaign, or it has none.
    """
    campaign = listing.find(session, Campaign, org_id, campaign_id)
    if campaign.first_contact is None:
        raise NotFound("first contact of campaign", campaign_id)
    return read(FirstContact, campaign.first_contact)


def _channel(session: Session, org_id: UUID, field: str, channel_type: str) -> UUID:
    try:
        return channel_of_type(session, org_id, channel_type)
    except Invalid:
        raise Invalid(field, f"no channel of type {channel_type!r} is configured") from None
