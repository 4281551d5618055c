"""`discoverCampaigns`, `updateRecipientEntityUiStatus` and `restoreRecipientEntityUiStatus`: next best actions
(docs/contract/targeting.md, "Newer than the seeds").
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from engine.api.answers import json_answer
from engine.api.call import Caller
from engine.api.targeting import schemas
from engine.api.targeting.matching import EntityRef
from engine.api.targeting.parameters import COMMON, MISSING
from engine.api.targeting.recipient import shown
from engine.api.targeting.routes import FindingRoute, ReadingRoute
from engine.campaigns import next_best_actions
from engine.campaigns.absent import NeverNull
from engine.campaigns.next_best_actions import NextBestAction
from state.transitions import EntityUiStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.campaigns.next_best_actions import Discovered

__all__ = ["ROUTERS"]

_reading = APIRouter(route_class=ReadingRoute, tags=["Campaign"], responses=COMMON)
_finding = APIRouter(
    route_class=FindingRoute,
    tags=["Campaign Recipient"],
    responses={
        **COMMON,
        **MISSING,
        409: {"model": schemas.ClientError, "description": "The status cannot follow the one there is"},
    },
)

ROUTERS = (_reading, _finding)


class DiscoverCampaignsParams(EntityRef):
    """The entity that somebody looks at."""


class DiscoverResult(schemas.Answer):
    """An action for the entity, and what was done with it; absent when nothing was."""

    campaign_id: UUID
    nba: NextBestAction
    status: EntityUiStatus | None = None
    status_updated_at: datetime | None = None


class Discovery(schemas.Answer):
    """What is shown and what was put away, the highest priority first."""

    hits: int
    results: list[DiscoverResult]
    dismissed: list[DiscoverResult]


class UpdateEntityUiStatusRequest(NeverNull):
    """What an agent did with an action."""

    status: EntityUiStatus
    entity_schema: str | None = None


@_reading.post("/v1/campaign:discover", operation_id="discoverCampaigns", response_model=Discovery)
def discover_campaigns(given: DiscoverCampaignsParams, call: Caller) -> Response:
    """Find the next best actions of active campaigns that an entity should be shown with."""
    with call.read() as session:
        found = next_best_actions.discover(session, call.org_id, given.ref())
    return json_answer(
        {
            "hits": len(found.results),
            "results": _results(found.results),
            "dismissed": _results(found.dismissed),
        }
    )


@_finding.patch(
    "/v1/campaign/{campaign_id}/recipient/{recipient_id}/entity_ui:status",
    operation_id="updateRecipientEntityUiStatus",
    response_model=schemas.Recipient,
)
def update_recipient_entity_ui_status(
    campaign_id: UUID, recipient_id: UUID, given: UpdateEntityUiStatusRequest, call: Caller
) -> Response:
    """Note that an action was seen (again: no change), clicked or dismissed."""
    with call.transaction() as session:
        row = next_best_actions.change_entity_ui_status(
            session, call.org_id, campaign_id, recipient_id, given.status, entity_schema=given.entity_schema
        )
        return call.answer(session, shown(session, row))


@_finding.post(
    "/v1/campaign/{campaign_id}/recipient/{recipient_id}/entity_ui:restore",
    operation_id="restoreRecipientEntityUiStatus",
    response_model=schemas.Recipient,
)
def restore_recipient_entity_ui_status(campaign_id: UUID, recipient_id: UUID, call: Caller) -> Response:
    """Undo a dismissal: the status is what it was before."""
    with call.transaction() as session:
        row = next_best_actions.restore_entity_ui_status(session, call.org_id, campaign_id, recipient_id)
        return call.answer(session, shown(session, row))


def _results(found: Iterable[Discovered]) -> list[dict[str, Any]]:
    return [
        DiscoverResult(
            campaign_id=one.campaign_id,
            nba=one.nba,
            status=one.status,
            status_updated_at=one.status_updated_at,
        ).sent()
        for one in found
    ]
