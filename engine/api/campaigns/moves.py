"""`/api/v1/campaigns/{id}/execute`, `pause`, `resume`, `clone` (docs/contract/campaigns-api.md)."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from engine.api.call import Caller
from engine.api.campaigns import showing, views
from engine.api.campaigns.errors import CampaignsRoute
from engine.api.campaigns.parameters import campaign_id_of
from engine.api.campaigns.schemas import CloneBody, ExecuteBody
from engine.campaigns import campaigns, cloning, execute_campaign, lifecycle
from state.change import clock_of

__all__ = ["router"]

router = APIRouter(prefix="/api/v1", route_class=CampaignsRoute, tags=["Campaigns"])


@router.post("/campaigns/{campaign_id}/execute", operation_id="campaignsExecute")
def execute(campaign_id: str, call: Caller, given: ExecuteBody | None = None) -> Response:
    """Execute a campaign: at once, at a time, to a part of its audience, or in test mode."""
    given = given or ExecuteBody()
    with call.transaction() as session:
        done = execute_campaign.execute(
            session,
            call.org_id,
            campaign_id_of(campaign_id),
            window=call.runtime.settings.window,
            priority=given.priority,
            reach=given.targetPercentage,
            due_at=given.scheduledAt,
            test=given.testMode,
        )
        message = f"Campaign execution {done.status}"
        if given.testMode:
            message = "Test execution started; nothing is sent"
        elif done.past_end:
            message += "; the campaign's end date has passed and does not end it"
        data = views.present(
            {
                "executionId": str(done.execution_id),
                "status": done.status,
                "estimatedCompletion": views.instant(done.estimated_completion),
                "message": message,
                "scheduledAt": views.instant(done.starts_at if done.status == "scheduled" else None),
            }
        )
        return call.answer(session, views.ok(data))


@router.post("/campaigns/{campaign_id}/pause", operation_id="campaignsPause")
def pause(campaign_id: str, call: Caller) -> Response:
    """Pause an active campaign: nothing more is sent, nobody is given up."""
    with call.transaction() as session:
        lifecycle.pause(session, call.org_id, campaign_id_of(campaign_id), by=call.principal.name)
        paused_at = views.instant(clock_of(session).now())
        data = {"status": "paused", "message": "Campaign paused successfully", "pausedAt": paused_at}
        return call.answer(session, views.ok(data))


@router.post("/campaigns/{campaign_id}/resume", operation_id="campaignsResume")
def resume(campaign_id: str, call: Caller) -> Response:
    """Resume a paused campaign, where it stood."""
    with call.transaction() as session:
        lifecycle.resume(
            session, call.org_id, campaign_id_of(campaign_id), window=call.runtime.settings.window
        )
        resumed_at = views.instant(clock_of(session).now())
        data = {"status": "active", "message": "Campaign resumed successfully", "resumedAt": resumed_at}
        return call.answer(session, views.ok(data))


@router.post("/campaigns/{campaign_id}/clone", operation_id="campaignsClone", status_code=201)
def clone(campaign_id: str, call: Caller, given: CloneBody | None = None) -> Response:
    """Copy a campaign; the copy is a draft."""
    given = given or CloneBody()
    with call.transaction() as session:
        original = campaigns.get_campaign(session, call.org_id, campaign_id_of(campaign_id))
        kept = None if given.resetStatistics else showing.campaign_statistics(session, call, original)
        copy = cloning.clone_campaign(
            session, call.org_id, original.id, name=given.name, statistics=kept, by=call.principal.name
        )
        data = {"id": str(copy.id), "name": copy.name, "status": views.status(copy)}
        return call.answer(session, views.ok({**data, "message": "Campaign cloned successfully"}), 201)
