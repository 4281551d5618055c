"""`/v1/campaign/{id}/first-contact`: how enrolled targets are contacted (docs/enrolled-targets.md)."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from engine.api.answers import json_answer
from engine.api.call import Caller
from engine.api.targeting.errors import TargetingRoute
from engine.api.targeting.parameters import COMMON, MISSING
from engine.enrolled import first_contact
from engine.enrolled.first_contact import FirstContact

__all__ = ["router"]

router = APIRouter(route_class=TargetingRoute, tags=["Campaign"], responses=COMMON)


def _shown(given: FirstContact) -> dict[str, object]:
    return given.model_dump(mode="json", by_alias=True, exclude_none=True)


@router.get(
    "/v1/campaign/{campaign_id}/first-contact",
    operation_id="getFirstContact",
    response_model=FirstContact,
    responses=MISSING,
)
def get(campaign_id: UUID, call: Caller) -> Response:
    """Get how the campaign contacts enrolled targets."""
    with call.read() as session:
        return json_answer(_shown(first_contact.get_first_contact(session, call.org_id, campaign_id)))


@router.put(
    "/v1/campaign/{campaign_id}/first-contact",
    operation_id="setFirstContact",
    response_model=FirstContact,
    responses=MISSING,
)
def put(campaign_id: UUID, given: FirstContact, call: Caller) -> Response:
    """Set how the campaign contacts enrolled targets: its flow and its send windows are made of it."""
    with call.transaction() as session:
        kept = first_contact.set_first_contact(session, call.org_id, campaign_id, given)
        return call.answer(session, _shown(kept))
