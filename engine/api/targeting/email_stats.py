"""`getEmailStats` (docs/contract/targeting.md, "Newer than the seeds")."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.responses import Response

from engine.api.answers import json_answer
from engine.api.call import Caller
from engine.api.targeting.errors import TargetingRoute
from engine.api.targeting.parameters import COMMON
from engine.insight.email import email_stats

__all__ = ["router"]

router = APIRouter(route_class=TargetingRoute, tags=["Campaign Recipient"], responses=COMMON)


class EmailStats(BaseModel):
    """A campaign's recipients by what became of their e-mail."""

    total_emailed: int = Field(description="Recipients with an e-mail status: the sum of the five.")
    sent: int
    delivered: int
    bounced: int
    complained: int
    failed: int
    bounced_hard: int
    bounced_soft: int
    unsubscribed: int
    opened: int = Field(description="Recipients who opened it at least once.")
    clicked: int = Field(description="Recipients who clicked at least once.")
    total_opens: int
    total_clicks: int


@router.get("/v1/campaign/{campaign_id}/email-stats", operation_id="getEmailStats", response_model=EmailStats)
def get_email_stats(campaign_id: UUID, call: Caller) -> Response:
    """Count a campaign's e-mail."""
    with call.read() as session:
        found = email_stats(session, call.org_id, campaign_id)
    return json_answer({name: getattr(found, name) for name in EmailStats.model_fields})
