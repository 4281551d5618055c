"""`changeCampaignStatus` (docs/contract/targeting.md, operation 1 and "How `status` really travels").

The endpoint declares neither body nor parameter, and clients send the wanted status in three ways: as a JSON
body (with or without that content type), as a form (an empty one is the documented call), as a query
parameter. All are read, in this order; none of them means: on when it is off, off when it is on.
"""

from __future__ import annotations

import json
from typing import Annotated, Any
from urllib.parse import parse_qs
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from engine.api.call import Caller
from engine.api.targeting import schemas, views
from engine.api.targeting.errors import TargetingRoute
from engine.api.targeting.parameters import COMMON
from engine.campaigns import lifecycle
from engine.campaigns.campaigns import get_campaign
from engine.kernel.inputs import Invalid

__all__ = ["router"]

router = APIRouter(route_class=TargetingRoute, tags=["Campaign"], responses=COMMON)


async def _wish(request: Request) -> str | None:
    """The wanted status, wherever it was put.

    Raises:
        Invalid: it is neither active nor inactive.
    """
    given = _in_body(await request.body())
    if given is None:
        given = request.query_params.get("status")
    if given is None:
        return None
    if given not in ("active", "inactive"):
        raise Invalid("status", f"{str(given)[:64]!r} is neither 'active' nor 'inactive'")
    return str(given)


def _in_body(body: bytes) -> Any:
    body = body.strip()
    if not body:
        return None
    if body[:1] in b'{["' or body == b"null":
        try:
            given = json.loads(body)
        except (ValueError, RecursionError):
            raise Invalid("body", "is not JSON") from None
        if given is None:
            return None
        if not isinstance(given, dict):
            raise Invalid("body", 'must be an object like {"status": "active"}, or nothing')
        return given.get("status")
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True)
    except (UnicodeDecodeError, ValueError):
        raise Invalid("body", "is neither JSON nor a form") from None
    if "status" not in fields:  # to toggle on what was perhaps meant as a status would surprise
        raise Invalid("body", 'must be an object like {"status": "active"}, or nothing')
    return fields["status"][-1]


@router.post(
    "/v1/campaign/{campaign_id}/status",
    operation_id="changeCampaignStatus",
    response_model=schemas.CampaignAnswer,
)
def change_campaign_status(
    campaign_id: UUID, call: Caller, wish: Annotated[str | None, Depends(_wish)]
) -> Response:
    """Change the status of a campaign: `status` is `active` or `inactive`; without one it is toggled."""
    window = call.runtime.settings.window
    with call.transaction() as session:
        if wish == "active":
            lifecycle.activate(session, call.org_id, campaign_id, window=window)
        elif wish == "inactive":
            lifecycle.deactivate(session, call.org_id, campaign_id)
        else:
            lifecycle.toggle(session, call.org_id, campaign_id, window=window)
        campaign = get_campaign(session, call.org_id, campaign_id)
        return call.answer(session, {"campaign": views.campaign(campaign)})
