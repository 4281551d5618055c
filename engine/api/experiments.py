"""`/api/v1/campaigns/{id}/ab-tests`: the A/B test of a campaign (docs/contract/campaigns-api.md `abTests`)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import ConfigDict
from pydantic.alias_generators import to_camel
from starlette.responses import Response

from engine.api.answers import json_answer
from engine.api.call import Caller
from engine.api.campaigns.errors import CampaignsRoute
from engine.api.campaigns.views import ok
from engine.campaigns import experiments
from engine.campaigns.campaigns import get_campaign
from engine.campaigns.experiments import ExperimentInput
from engine.events.payloads import instant
from state.tables import Experiment

__all__ = ["router", "view"]

router = APIRouter(route_class=CampaignsRoute, tags=["A/B tests"])


class AbTestBody(ExperimentInput):
    """The same, in the dialect's spelling."""

    model_config = ConfigDict(alias_generator=to_camel)


_PATH = "/api/v1/campaigns/{campaign_id}/ab-tests"


def view(row: Experiment) -> dict[str, Any]:
    """An A/B test as the Campaigns API shows it; what the last look saw is its `result`."""
    shown = {
        "id": str(row.id),
        "name": row.name,
        "status": row.status,
        "touchpointId": str(row.touchpoint_id),
        "metric": row.metric,
        "sample": row.sample,
        "holdout": row.holdout,
        "decideAfterHours": row.decide_after_seconds / 3600,
        "confidence": round((1 - row.alpha) * 100, 4),
        "whenInconclusive": row.when_inconclusive,
        "looks": row.looks,
        "winner": row.winner,
        "result": row.result,
        "startedAt": None if row.started_at is None else instant(row.started_at),
        "nextLookAt": None if row.next_look_at is None else instant(row.next_look_at),
        "decidedAt": None if row.decided_at is None else instant(row.decided_at),
    }
    return {name: value for name, value in shown.items() if value is not None}


@router.post(_PATH, operation_id="createAbTest", status_code=201)
def create(campaign_id: UUID, given: AbTestBody, call: Caller) -> Response:
    """Give a draft campaign an A/B test."""
    with call.transaction() as session:
        row = experiments.create_experiment(session, call.org_id, campaign_id, given)
        return call.answer(session, ok(view(row)), 201)


@router.get(_PATH, operation_id="listAbTests")
def listed(campaign_id: UUID, call: Caller) -> Response:
    """Get the A/B test of a campaign: a list of one, or none."""
    with call.read() as session:
        get_campaign(session, call.org_id, campaign_id)
        row = experiments.find_experiment(session, call.org_id, campaign_id)
        return json_answer(ok({"abTests": [] if row is None else [view(row)]}))


@router.post(_PATH + ":start", operation_id="startAbTest")
def start(campaign_id: UUID, call: Caller) -> Response:
    """Execute the campaign for the sample, and begin to look."""
    with call.transaction() as session:
        window = call.runtime.settings.window
        job = experiments.start_experiment(session, call.org_id, campaign_id, window=window)
        row = experiments.find_experiment(session, call.org_id, campaign_id)
        assert row is not None  # noqa: S101 - it was started just now
        return call.answer(session, ok({"executionId": str(job.id), "abTest": view(row)}))
