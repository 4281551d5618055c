"""`/api/v1/campaigns/{id}/executions`: what became of each execution, and of test runs (a route of our own)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from starlette.responses import Response

from engine.api.answers import json_answer
from engine.api.call import Caller
from engine.api.campaigns import views
from engine.api.campaigns.errors import CampaignsRoute
from engine.api.campaigns.parameters import campaign_id_of, row_id_of
from engine.campaigns import schedules
from engine.campaigns.campaigns import get_campaign
from engine.insight import executions
from state.errors import IllegalTransition

if TYPE_CHECKING:
    from engine.insight.executions import Execution

__all__ = ["router"]

router = APIRouter(prefix="/api/v1", route_class=CampaignsRoute, tags=["Campaigns"])


@router.get("/campaigns/{campaign_id}/executions", operation_id="campaignsExecutions")
def listed(campaign_id: str, call: Caller) -> Response:
    """List a campaign's executions, newest first: runs, starts that are scheduled, test runs."""
    with call.read() as session:
        campaign = get_campaign(session, call.org_id, campaign_id_of(campaign_id))
        found = executions.list_executions(session, call.org_id, campaign.id)
    return json_answer(views.ok({"executions": [_shown(one) for one in found]}))


@router.get("/campaigns/{campaign_id}/executions/{execution_id}", operation_id="campaignsExecution")
def get(campaign_id: str, execution_id: str, call: Caller) -> Response:
    """One execution; of a test run: what would have failed, by code, with some of the recipients."""
    with call.read() as session:
        campaign = get_campaign(session, call.org_id, campaign_id_of(campaign_id))
        found = executions.find_execution(
            session, call.org_id, campaign.id, row_id_of("execution", execution_id)
        )
    return json_answer(views.ok(_shown(found)))


@router.delete("/campaigns/{campaign_id}/executions/{execution_id}", operation_id="campaignsUnschedule")
def call_off(campaign_id: str, execution_id: str, call: Caller) -> Response:
    """Call off a scheduled start that has not come yet."""
    key = row_id_of("execution", execution_id)
    with call.transaction() as session:
        campaign = get_campaign(session, call.org_id, campaign_id_of(campaign_id))
        found = executions.find_execution(session, call.org_id, campaign.id, key)
        if found.kind != "scheduled":
            raise IllegalTransition("execution", key, found.status, "cancelled")
        schedules.call_off_one(session, call.org_id, key)
        return call.answer(session, views.ok({"message": "Scheduled execution cancelled"}))


def _shown(one: Execution) -> dict[str, Any]:
    return views.present(
        {
            "executionId": str(one.id),
            "kind": one.kind,
            "status": one.status,
            "targetPercentage": views.number(one.reach),
            "priority": one.priority,
            "scheduledAt": views.instant(one.due_at),
            "startedAt": views.instant(one.started_at),
            "finishedAt": views.instant(one.finished_at),
            "total": one.total,
            "successful": one.successful,
            "failed": one.failed,
            "errors": list(one.findings),
            "reason": one.reason,
            "createdAt": views.instant(one.created_at),
        }
    )
