"""`getRecipients` and `retriggerCampaignAutomations` (docs/contract/targeting.md, operations 12 and 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, FailFast
from starlette.responses import Response

from engine.api.answers import json_answer
from engine.api.call import Caller
from engine.api.targeting import schemas, views
from engine.api.targeting.parameters import COMMON, Limit, Next
from engine.api.targeting.routes import RetriggerRoute
from engine.delivery.retrigger import Retriggered, retrigger
from engine.insight.email import sends_email
from engine.insight.recipients import list_recipients
from state.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence


__all__ = ["router"]

router = APIRouter(route_class=RetriggerRoute, responses=COMMON)


@router.get(
    "/v1/campaign/{campaign_id}/recipients",
    operation_id="getRecipients",
    response_model=schemas.Recipients,
    tags=["Campaign Recipient"],
)
def get_recipients(
    campaign_id: UUID,
    call: Caller,
    *,
    limit: Limit = 25,
    next: Next = None,  # noqa: A002 - the word of the contract
    q: Annotated[str | None, Query(description="Search by recipient title")] = None,
    automation_status: Annotated[list[str] | None, Query()] = None,
    bracketed: Annotated[
        list[str] | None, Query(alias="automation_status[]", include_in_schema=False)
    ] = None,
    portal_status: str | None = None,
    email_status: str | None = None,
) -> Response:
    """Get a page of a campaign's recipients.

    `automation_status` may be repeated, with or without `[]` (docs/contract/targeting.md).
    """
    with call.read() as session:
        found = list_recipients(
            session,
            call.org_id,
            campaign_id,
            limit=limit,
            next=next or None,
            q=q,
            automation_status=[*(automation_status or ()), *(bracketed or ())],
            portal_status=portal_status,
            email_status=email_status,
        )
        mails = sends_email(session, call.org_id, campaign_id)
        return json_answer(views.recipients(found, mails=mails))


class RetriggerRequest(BaseModel):
    """Who is to run again. Upstream does not close this object."""

    recipient_ids: Annotated[list[UUID], FailFast()]


@router.post(
    "/v1/campaign/{campaign_id}/automations:retrigger",
    operation_id="retriggerCampaignAutomations",
    response_model=schemas.Retriggered,
    responses={404: {"model": schemas.ServerError, "description": "There is no such campaign"}},
    tags=["Campaign Delivery"],
)
def retrigger_campaign_automations(campaign_id: UUID, given: RetriggerRequest, call: Caller) -> Response:
    """Deliver again to recipients that failed; others are answered with the reason why not."""
    settings = call.runtime.settings
    with call.transaction() as session:
        try:
            results = retrigger(
                session,
                call.org_id,
                campaign_id,
                given.recipient_ids,
                window=settings.window,
                slice_size=settings.slice_size,
            )
        except NotFound as error:
            return call.answer(session, {"status": 404, "message": str(error)}, 404)
        started = len({one.recipient_id for one in results if one.result == "success"})
        message = f"{started} of {len(set(given.recipient_ids))} recipients run again"
        answer = schemas.Retriggered(message=message, results=_results(results))
        return call.answer(session, answer.sent())


def _results(results: Sequence[Retriggered]) -> list[schemas.RetriggerResult]:
    return [
        schemas.RetriggerResult(
            recipient_id=one.recipient_id, result=one.result, execution_id=one.execution_id, error=one.error
        )
        for one in results
    ]
