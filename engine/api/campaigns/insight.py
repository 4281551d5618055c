"""`/api/v1/campaigns/{id}/progress` (contract.md §3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from starlette.responses import Response

from engine.api.answers import json_answer
from engine.api.call import Caller
from engine.api.campaigns import views
from engine.api.campaigns.errors import CampaignsRoute
from engine.api.campaigns.parameters import campaign_id_of
from engine.insight.running import Reason, running
from state.transitions import AutomationStatus

if TYPE_CHECKING:
    from engine.insight.running import Running

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
    cancelled = counts[AutomationStatus.CANCELLED] - seen.progress.excluded
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
                "cancelled": max(0, cancelled),
                "excluded": max(0, seen.progress.excluded),
            },
            "currentRate": views.number(round(seen.per_minute, 1)),
            "estimatedCompletion": views.instant(seen.estimated_completion),
            "errors": [
                {"code": error.code, "count": error.count, "message": error.message} for error in seen.errors
            ],
            "waiting": [_reason(reason) for reason in seen.reasons],
        }
    )


def _reason(reason: Reason) -> dict[str, Any]:
    return views.present(
        {
            "reason": reason.code,
            "message": reason.message,
            "since": views.instant(reason.since),
            "until": views.instant(reason.until),
        }
    )
