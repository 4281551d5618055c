"""`/api/v1/campaigns/{id}/progress` (docs/contract/campaigns-api.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from starlette.responses import Response

from engine.api.answers import json_answer
from engine.api.call import Caller
from engine.api.campaigns import views
from engine.api.campaigns.errors import CampaignsRoute
from engine.api.campaigns.parameters import campaign_id_of
from engine.insight.running import running
from state.transitions import AutomationStatus

if TYPE_CHECKING:
    from engine.insight.running import Running
    from engine.insight.waiting import Waiting

__all__ = ["router"]

router = APIRouter(prefix="/api/v1", route_class=CampaignsRoute, tags=["Campaigns"])


@router.get("/campaigns/{campaign_id}/progress", operation_id="campaignsProgress")
def progress(campaign_id: str, call: Caller) -> Response:
    """How far a campaign's execution is, how fast it goes, and why it waits."""
    with call.read() as session:
        seen = running(session, call.org_id, campaign_id_of(campaign_id))
    return json_answer(views.ok(_shown(seen)))


def _shown(seen: Running) -> dict[str, Any]:
    counts = seen.progress.counts
    return views.present(
        {
            "status": seen.status,
            "executionId": None if seen.job_id is None else str(seen.job_id),
            "progress": {
                "percentage": seen.percentage,
                "processed": seen.processed,
                "total": seen.progress.wanted,
                "successful": seen.successful,
                "failed": seen.failed,
                "pending": max(0, counts[AutomationStatus.PENDING]),
                "inProgress": max(0, counts[AutomationStatus.IN_PROGRESS]),
                "cancelled": seen.progress.unreached,
                "excluded": max(0, seen.progress.excluded),
            },
            "currentRate": views.number(round(seen.outlook.per_minute, 1)),
            "estimatedCompletion": views.instant(seen.outlook.completion),
            "errors": [
                {"code": error.code, "count": error.count, "message": error.message} for error in seen.errors
            ],
            "waiting": [_waiting(one) for one in seen.outlook.waiting],
        }
    )


def _waiting(one: Waiting) -> dict[str, Any]:
    """`rate` is in messages a minute, as `currentRate`."""
    return views.present(
        {
            "reason": one.code,
            "message": one.reason,
            "scope": one.scope.value,
            "subject": one.subject or None,
            "stops": one.stops,
            "since": views.instant(one.since),
            "until": views.instant(one.until),
            "rate": None if one.rate is None else views.number(round(one.rate * 60, 3)),
        }
    )
