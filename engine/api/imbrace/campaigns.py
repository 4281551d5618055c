"""`/channel-service/v1/campaign` (docs/contract/imbrace.md): the four operations of the client, and PUT."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from engine.api.answers import NO_CONTENT, json_answer
from engine.api.call import Caller
from engine.api.imbrace import schemas, views
from engine.api.imbrace.errors import ImbraceRoute
from engine.api.imbrace.schemas import COMMON, CONFLICT, MISSING
from engine.campaigns import open_campaigns
from engine.campaigns.campaigns import delete_campaign
from engine.campaigns.open_campaigns import SORTABLE, CampaignRewritten, CampaignWritten
from engine.campaigns.touchpoints import find_campaign
from engine.kernel.inputs import Invalid
from engine.kernel.listing import MAX_LIMIT

__all__ = ["router"]

router = APIRouter(
    prefix="/channel-service/v1", route_class=ImbraceRoute, tags=["iMBRACE campaign"], responses=COMMON
)


@router.get("/campaign", operation_id="imbraceListCampaigns", response_model=schemas.ImbraceCampaigns)
def listed(
    call: Caller,
    status: Annotated[str | None, Query(description="draft, active, paused, completed or cancelled")] = None,
    limit: Annotated[int, Query(description="How many at most, 1..1000.")] = MAX_LIMIT,
    offset: Annotated[int, Query(description="How many to pass over.")] = 0,
    sort: Annotated[
        str, Query(description=f"One of {', '.join(SORTABLE)}; `-`: largest first.")
    ] = "-created_at",
) -> Response:
    """List campaigns, newest first."""
    with call.read() as session:
        found = open_campaigns.list_open_campaigns(
            session, call.org_id, statuses=views.states_of(status), sort=sort, limit=limit, offset=offset
        )
        return json_answer({"data": [views.campaign(row) for row in found.results], "total": found.total})


@router.post("/campaign", operation_id="imbraceCreateCampaign", response_model=schemas.ImbraceCampaign)
def create(given: CampaignWritten, call: Caller) -> Response:
    """Create a campaign, as a draft. Fields that are not known here are kept and given back."""
    given = _without_status(given, "draft")
    with call.transaction() as session:
        campaign = open_campaigns.create_open_campaign(session, call.org_id, given)
        return call.answer(session, views.campaign(campaign))


@router.get(
    "/campaign/{campaign_id}",
    operation_id="imbraceGetCampaign",
    response_model=schemas.ImbraceCampaign,
    responses=MISSING,
)
def get(campaign_id: str, call: Caller) -> Response:
    """Get a campaign."""
    with call.read() as session:
        return json_answer(views.campaign(find_campaign(session, call.org_id, campaign_id)))


@router.put(
    "/campaign/{campaign_id}",
    operation_id="imbraceUpdateCampaign",
    response_model=schemas.ImbraceCampaign,
    responses=MISSING,
)
def update(campaign_id: str, given: CampaignRewritten, call: Caller) -> Response:
    """Change the fields that are given. Its status is changed by `/v1/campaign/{id}/status`."""
    with call.transaction() as session:
        current = views.campaign(find_campaign(session, call.org_id, campaign_id, lock=True))
        given = _without_status(given, current["status"])
        campaign = open_campaigns.update_open_campaign(session, call.org_id, campaign_id, given)
        return call.answer(session, views.campaign(campaign))


@router.delete(
    "/campaign/{campaign_id}",
    operation_id="imbraceDeleteCampaign",
    status_code=NO_CONTENT,
    responses=MISSING | CONFLICT,
)
def delete(campaign_id: str, call: Caller) -> Response:
    """Delete a campaign with its touchpoints and recipients; refused while it is being delivered."""
    with call.transaction() as session:
        campaign = find_campaign(session, call.org_id, campaign_id, lock=True)
        delete_campaign(session, call.org_id, campaign.id)
        return call.answer(session, None, NO_CONTENT)


def _without_status(given: Any, current: str) -> Any:
    """The campaign without its status, which may be sent back as it was and is never written."""
    extra = dict(given.model_extra or {})
    if extra.pop("status", current) != current:
        raise Invalid("status", f"is {current}; change it by /v1/campaign/{{id}}/status")
    fields = {
        name: getattr(given, name) for name in given.model_fields_set if name not in (given.model_extra or {})
    }
    return type(given).model_validate({**fields, **extra})
