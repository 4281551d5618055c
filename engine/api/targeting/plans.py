"""`POST /v1/campaign/{id}:plan`: what an activation would do now, before anybody is written to."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response

from engine.api.answers import json_answer
from engine.api.call import Caller
from engine.api.targeting import schemas
from engine.api.targeting.parameters import COMMON, MISSING
from engine.api.targeting.routes import ReadingRoute
from engine.campaigns.campaigns import get_campaign
from engine.campaigns.preflight import MOST, preflight
from engine.channels.port import ChannelContext
from engine.kernel.secrets import Secrets

__all__ = ["router"]

router = APIRouter(route_class=ReadingRoute, tags=["Campaign"], responses=COMMON)


class Exclusion(schemas.Answer):
    """Recipients who would not be sent to, for one reason."""

    code: str
    message: str
    status: str
    count: int
    entity_ids: list[UUID]


class ChannelShare(schemas.Answer):
    """What goes over one channel."""

    id: UUID
    name: str
    kind: str
    messages: int
    cost_per_message: float
    cost: float
    domains: dict[str, int]


class SharedAddress(schemas.Answer):
    """An address that several recipients have."""

    address: str
    entity_ids: list[UUID]


class RenderedSample(schemas.Answer):
    """A message as its recipient would get it."""

    entity_id: UUID
    title: str
    channel: str
    address: str
    sender: str | None = None
    subject: str
    text: str | None = None
    html: str | None = None


class Departure(schemas.Answer):
    """How many of the first message have left by an instant."""

    at: datetime
    messages: int


class CampaignPlan(schemas.Answer):
    """What an activation would do (docs/plan.md)."""

    campaign_id: UUID
    campaign: str
    status: str
    fails: bool
    matched: int
    beyond_reach: int
    already_reached: int
    recipients: int
    looked_at: int
    sampled: bool
    written_to: int
    excluded: list[Exclusion]
    channels: list[ChannelShare]
    shared_addresses: int
    repeated_messages: int
    shared: list[SharedAddress]
    without_zone: int
    hours_matter: bool
    cost: float
    budget: float | None = None
    begins_at: datetime | None = None
    ends_at: datetime | None = None
    seconds: float | None = None
    departures: list[Departure]
    samples: list[RenderedSample]
    errors: list[str]
    warnings: list[str]


@router.post(
    "/v1/campaign/{campaign_id}:plan",
    operation_id="planCampaign",
    response_model=CampaignPlan,
    responses=MISSING,
)
def plan(
    campaign_id: UUID,
    call: Caller,
    reach: Annotated[float | None, Query(gt=0, le=100, description="Percent of the audience")] = None,
    people: Annotated[
        int, Query(ge=1, le=MOST, description="How many recipients are looked at one by one, at most")
    ] = 20_000,
) -> Response:
    """Say what an activation would do: how many, who is excluded and why, over what, how long, at what cost."""
    runtime = call.runtime
    with call.read() as session:
        found = preflight(
            session,
            get_campaign(session, call.org_id, campaign_id),
            secrets=Secrets.of(runtime.settings),
            channel_context=ChannelContext.of(runtime.settings, runtime.database),
            reach=reach,
            most=people,
        )
    return json_answer(CampaignPlan.model_validate(found.as_dict()).sent())
