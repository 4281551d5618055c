"""`createRecipient` and `updateRecipient` (docs/contract/targeting.md, operations 9 and 10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from engine.api.call import Caller
from engine.api.targeting import schemas, views
from engine.api.targeting.errors import TargetingRoute
from engine.api.targeting.parameters import COMMON
from engine.campaigns import recipients
from engine.campaigns.recipients import RecipientChange, RecipientInput
from engine.insight.email import sends_email
from engine.kernel.inputs import Invalid
from state.errors import NotFound

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from state.tables import Recipient

__all__ = ["router", "shown"]

router = APIRouter(route_class=TargetingRoute, tags=["Campaign Recipient"], responses=COMMON)


def shown(session: Session, row: Recipient) -> dict[str, Any]:
    """One recipient as the dialect shows it."""
    return views.recipient(row, mails=sends_email(session, row.org_id, row.campaign_id))


@router.post(
    "/v1/campaign/{campaign_id}/recipient",
    operation_id="createRecipient",
    status_code=201,
    response_model=schemas.Recipient,
)
def create_recipient(campaign_id: UUID, given: RecipientInput, call: Caller) -> Response:
    """Make an entity a recipient, with its automation, its portal status, or both."""
    with call.transaction() as session:
        row = recipients.create_recipient(session, call.org_id, campaign_id, given)
        return call.answer(session, shown(session, row), 201)


@router.patch(
    "/v1/campaign/{campaign_id}/recipient/{recipient_id}",
    operation_id="updateRecipient",
    response_model=schemas.Recipient,
)
def update_recipient(campaign_id: UUID, recipient_id: UUID, given: RecipientChange, call: Caller) -> Response:
    """Write attributes of a recipient. It is known by its entity's id."""
    with call.transaction() as session:
        try:
            row = recipients.update_recipient(session, call.org_id, campaign_id, recipient_id, given)
        except NotFound as error:  # this operation knows no 404 (docs/contract/targeting.md)
            raise Invalid("recipient_id", str(error)) from None
        return call.answer(session, shown(session, row))
