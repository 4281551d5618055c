"""`/v1/campaign` (docs/contract/own-routes.md): campaigns that set-up did not make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response

from engine.api.answers import NO_CONTENT, json_answer
from engine.api.call import Caller
from engine.api.targeting import schemas, views
from engine.api.targeting.errors import TargetingRoute
from engine.api.targeting.parameters import COMMON, MISSING, Limit, Next
from engine.campaigns import campaigns, finding
from engine.campaigns.campaigns import CampaignChange, CampaignInput
from engine.kernel.inputs import Invalid
from engine.kernel.suggestions import did_you_mean

if TYPE_CHECKING:
    from state.transitions import CampaignStatus

__all__ = ["router"]

router = APIRouter(route_class=TargetingRoute, tags=["Campaign"], responses=COMMON)


@router.post("/v1/campaign", operation_id="createCampaign", status_code=201, response_model=schemas.Campaign)
def create(given: CampaignInput, call: Caller) -> Response:
    """Create a campaign, as a draft."""
    with call.transaction() as session:
        campaign = campaigns.create_campaign(session, call.org_id, given)
        return call.answer(session, views.campaign(campaign), 201)


@router.get("/v1/campaign", operation_id="listCampaigns", response_model=schemas.Results)
def listed(
    call: Caller,
    limit: Limit = 25,
    next: Next = None,  # noqa: A002
    q: Annotated[str | None, Query(description="Text in name or description")] = None,
    status: Annotated[list[str] | None, Query(description="draft, activating, active or inactive")] = None,
) -> Response:
    """List campaigns, newest first."""
    with call.read() as session:
        found = finding.list_campaigns(
            session, call.org_id, limit=limit, next=next or None, q=q, statuses=_states(status or ())
        )
        return json_answer(views.page(found, views.campaign))


@router.get(
    "/v1/campaign/{campaign_id}",
    operation_id="getCampaign",
    response_model=schemas.Campaign,
    responses=MISSING,
)
def get(campaign_id: UUID, call: Caller) -> Response:
    """Get a campaign."""
    with call.read() as session:
        return json_answer(views.campaign(campaigns.get_campaign(session, call.org_id, campaign_id)))


@router.patch(
    "/v1/campaign/{campaign_id}",
    operation_id="updateCampaign",
    response_model=schemas.Campaign,
    responses=MISSING,
)
def update(campaign_id: UUID, given: CampaignChange, call: Caller) -> Response:
    """Change a campaign. A running job keeps the audience and the flow it was made with."""
    with call.transaction() as session:
        given.check_unwritten(
            lambda: views.campaign(campaigns.get_campaign(session, call.org_id, campaign_id))
        )
        campaign = campaigns.update_campaign(session, call.org_id, campaign_id, given)
        return call.answer(session, views.campaign(campaign))


@router.delete(
    "/v1/campaign/{campaign_id}", operation_id="deleteCampaign", status_code=NO_CONTENT, responses=MISSING
)
def delete(campaign_id: UUID, call: Caller) -> Response:
    """Delete a campaign with its recipients; refused while it has a job in progress."""
    with call.transaction() as session:
        campaigns.delete_campaign(session, call.org_id, campaign_id)
        return call.answer(session, None, NO_CONTENT)


def _states(words: list[str] | tuple[str, ...]) -> list[CampaignStatus]:
    known = views.STATES_OF
    for word in words:
        if word not in known:
            raise Invalid("status", f"{word[:64]!r} is none of {', '.join(known)}{did_you_mean(word, known)}")
    return [state for word in words for state in known[word]]
