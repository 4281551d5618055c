"""`setupCampaign` (docs/contract/targeting.md, operation 5), and the recommendation that it makes."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body
from starlette.responses import Response

from engine.api.answers import json_answer
from engine.api.call import Caller
from engine.api.targeting import schemas, views
from engine.api.targeting.errors import TargetingRoute
from engine.api.targeting.parameters import COMMON, MISSING
from engine.campaigns.setup import set_up
from engine.kernel.listing import find
from state.tables import ProductRecommendation

__all__ = ["router"]

router = APIRouter(route_class=TargetingRoute, tags=["Campaign"], responses=COMMON)


class SetupTariffChangeCampaignResponse(schemas.Answer):
    """What was made."""

    type: str
    product_recommendation_id: UUID
    campaign_id: UUID
    journey_id: UUID | None = None
    portal_widget_id: UUID | None = None


@router.post(
    "/v1/campaign:setup",
    operation_id="setupCampaign",
    status_code=201,
    response_model=SetupTariffChangeCampaignResponse,
)
def setup_campaign(given: Annotated[Any, Body()], call: Caller) -> Response:
    """Set up a campaign with everything it needs, in one transaction. It begins as a draft."""
    with call.transaction() as session:
        made = set_up(session, call.org_id, given)
        answer = SetupTariffChangeCampaignResponse(
            type=made.type,
            product_recommendation_id=made.product_recommendation_id,
            campaign_id=made.campaign_id,
            journey_id=made.journey_id,
            portal_widget_id=made.portal_widget_id,
        )
        return call.answer(session, answer.sent(), 201)


@router.get(
    "/v1/product-recommendation/{product_recommendation_id}",
    operation_id="getProductRecommendation",
    response_model=schemas.ProductRecommendation,
    responses=MISSING,
)
def get_product_recommendation(product_recommendation_id: UUID, call: Caller) -> Response:
    """Get what a campaign offers; a portal's widget shows it."""
    with call.read() as session:
        row = find(session, ProductRecommendation, call.org_id, product_recommendation_id)
        return json_answer(views.product_recommendation(row))
