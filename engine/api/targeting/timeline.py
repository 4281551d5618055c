"""One recipient's whole story (docs/contract/own-routes.md)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from engine.api.answers import json_answer
from engine.api.call import Caller
from engine.api.targeting import schemas, views
from engine.api.targeting.errors import TargetingRoute
from engine.api.targeting.parameters import COMMON, MISSING, Next
from engine.insight.email import sends_email
from engine.insight.timeline import timeline

__all__ = ["router"]

router = APIRouter(route_class=TargetingRoute, tags=["Campaign Recipient"], responses=COMMON)


class TimelineEntry(schemas.Answer):
    """Something that happened."""

    at: datetime
    what: str = Field(description="A stable id: `message.sent`, `email.clicked`, `address.suppressed`.")
    data: dict[str, Any]


class TimelinePage(schemas.Answer):
    """A page of a recipient's story, oldest first."""

    recipient: schemas.Recipient
    results: list[TimelineEntry]
    next: str | None
    total: int


@router.get(
    "/v1/campaign/{campaign_id}/recipients/{recipient_id}/timeline",
    operation_id="getRecipientTimeline",
    response_model=TimelinePage,
    responses=MISSING,
)
def get_timeline(
    campaign_id: UUID,
    recipient_id: UUID,
    call: Caller,
    *,
    limit: Annotated[int, Query(description="How many at most, 1..1000.")] = 100,
    next: Next = None,  # noqa: A002 - the word of the contract
) -> Response:
    """Tell what happened to one recipient: who let it in, what it was sent, what came back, what bars it."""
    with call.read() as session:
        found = timeline(session, call.org_id, campaign_id, recipient_id, limit=limit, next=next or None)
        mails = sends_email(session, call.org_id, campaign_id)
        entries = [TimelineEntry(at=one.at, what=one.what, data=one.data).sent() for one in found.results]
        return json_answer(
            {
                "recipient": views.recipient(found.recipient, mails=mails),
                "results": entries,
                "next": found.next,
                "total": found.total,
            }
        )
