"""`updateRecipientPortalStatus` and `getCampaignPortals` (docs/contract/targeting.md, operations 11 and 3)."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter
from pydantic import ConfigDict
from starlette.responses import Response

from engine.api.answers import json_answer
from engine.api.call import Caller
from engine.api.targeting import schemas
from engine.api.targeting.errors import TargetingRoute
from engine.api.targeting.parameters import COMMON, MISSING
from engine.api.targeting.recipient import shown
from engine.api.targeting.routes import FindingRoute
from engine.campaigns.recipients import change_portal_status
from engine.campaigns.showing import shown_on
from engine.kernel.inputs import Input
from state.transitions import PortalStatus

__all__ = ["ROUTERS"]

_finding = APIRouter(route_class=FindingRoute, tags=["Campaign Recipient"], responses=COMMON)
_listing = APIRouter(route_class=TargetingRoute, tags=["Campaign"], responses=COMMON)

ROUTERS = (_finding, _listing)


class UpdatePortalStatusRequest(Input):
    """What the recipient did. Upstream does not close this object."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    status: PortalStatus


class PortalShown(schemas.Answer):
    """A portal, as far as it is named."""

    origin: str | None = None
    domain: str | None = None
    name: str | None = None


class Headline(schemas.Answer):
    """What stands above the campaign, by language."""

    en: str | None = None
    de: str | None = None


class WidgetShown(schemas.Answer):
    """A widget that shows the campaign."""

    id: str
    headline: Headline | None = None


class CampaignPortal(schemas.Answer):
    """A portal that shows the campaign, and where on it."""

    portal: PortalShown
    widgets: list[WidgetShown]


@_finding.patch(
    "/v1/campaign/{campaign_id}/recipient/{recipient_id}/portal:status",
    operation_id="updateRecipientPortalStatus",
    response_model=schemas.Recipient,
    responses={
        **MISSING,
        409: {"model": schemas.ClientError, "description": "The status cannot follow the one there is"},
    },
)
def update_recipient_portal_status(
    campaign_id: UUID, recipient_id: UUID, given: UpdatePortalStatusRequest, call: Caller
) -> Response:
    """Note what a recipient did on a portal: sent, then seen, then clicked or dismissed for good."""
    with call.transaction() as session:
        row = change_portal_status(session, call.org_id, campaign_id, recipient_id, given.status)
        return call.answer(session, shown(session, row))


@_listing.get(
    "/v1/campaign/{campaign_id}/portals",
    operation_id="getCampaignPortals",
    response_model=list[CampaignPortal],
)
def get_campaign_portals(campaign_id: UUID, call: Caller) -> Response:
    """List the portals that show a campaign, with their widgets for it."""
    with call.read() as session:
        found = shown_on(session, call.org_id, campaign_id)
    return json_answer(
        [
            CampaignPortal(
                portal=PortalShown(origin=portal.origin, domain=portal.domain, name=portal.name),
                widgets=[
                    WidgetShown(
                        id=str(widget.id),
                        headline=None if widget.headline is None else Headline(**widget.headline),
                    )
                    for widget in widgets
                ],
            ).sent()
            for portal, widgets in found
        ]
    )
