"""`/channel-service/v1/touchpoints` (docs/contract/imbrace.md): six operations."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Request
from starlette.responses import Response

from engine.api.answers import NO_CONTENT, json_answer
from engine.api.call import Caller
from engine.api.imbrace import schemas, views
from engine.api.imbrace.errors import AskingRoute, ImbraceRoute
from engine.api.imbrace.schemas import COMMON, MISSING
from engine.api.secrets import secrets_of
from engine.campaigns import touchpoints
from engine.campaigns.checking import check_touchpoint
from engine.campaigns.configuration import as_id
from engine.campaigns.touchpoints import SORTABLE, TOUCHPOINT_STATUSES, TouchpointWritten
from engine.channels.asking import ask
from engine.channels.port import ChannelContext
from engine.kernel.inputs import Invalid, unstorable
from engine.kernel.listing import MAX_LIMIT

__all__ = ["ROUTERS"]

_shape: dict[str, Any] = {
    "prefix": "/channel-service/v1",
    "tags": ["iMBRACE touchpoint"],
    "responses": COMMON,
}
router = APIRouter(route_class=ImbraceRoute, **_shape)
asking = APIRouter(route_class=AskingRoute, **_shape)

ROUTERS = (asking, router)


@asking.post(
    "/touchpoints/_validate",
    operation_id="imbraceValidateTouchpoint",
    response_model=schemas.ImbraceValidated,
    responses=MISSING,
)
def validate(
    given: Annotated[
        dict[str, Any],
        Body(description="`touchpoint_id`, a touchpoint that is not there yet, or both: changes."),
    ],
    call: Caller,
    request: Request,
) -> Response:
    """Check whether a touchpoint is fit to be activated: what it says, and whether its channel answers."""
    trouble = unstorable(given)
    if trouble is not None:
        raise Invalid(*trouble)
    runtime = call.runtime
    lent = ChannelContext.of(runtime.settings, runtime.database)
    # A writing transaction that writes nothing: what it names is locked, as it is when it is kept.
    with call.transaction() as session:
        checked = check_touchpoint(
            session, call.org_id, given, secrets=secrets_of(request), channel_context=lent
        )
    errors = checked.errors
    if checked.channel is not None:  # not within the transaction: a provider may take its time
        silent = asyncio.run(ask(checked.channel))
        errors = errors if silent is None else [*errors, f"channel_id: {silent}"]
    return json_answer({"valid": not errors, "errors": errors, "duplicate": checked.duplicate})


@router.get("/touchpoints", operation_id="imbraceListTouchpoints", response_model=schemas.ImbraceTouchpoints)
def listed(
    call: Caller,
    campaign_id: str | None = None,
    channel_id: str | None = None,
    status: Annotated[str | None, Query(description=", ".join(TOUCHPOINT_STATUSES))] = None,
    is_archived: bool | None = None,
    limit: Annotated[int, Query(description="How many at most, 1..1000.")] = MAX_LIMIT,
    offset: Annotated[int, Query(description="How many to pass over.")] = 0,
    sort: Annotated[
        str, Query(description=f"One of {', '.join(SORTABLE)}; `-`: largest first.")
    ] = "-created_at",
) -> Response:
    """List touchpoints, newest first. An id that names nothing has none."""
    with call.read() as session:
        found = touchpoints.list_touchpoints(
            session,
            call.org_id,
            campaign_id=campaign_id,
            channel_id=channel_id,
            status=status,
            is_archived=is_archived,
            sort=sort,
            limit=limit,
            offset=offset,
        )
        of = None if campaign_id is None else as_id(campaign_id)
        shown = views.touchpoints(session, call.principal, found.results, of=of)
        return json_answer({"data": shown, "total": found.total})


@router.post("/touchpoints", operation_id="imbraceCreateTouchpoint", response_model=schemas.ImbraceTouchpoint)
def create(given: TouchpointWritten, call: Caller) -> Response:
    """Add a touchpoint to a campaign, or keep one for later. Fields that are not known here are given back."""
    with call.transaction() as session:
        row = touchpoints.create_touchpoint(session, call.org_id, given)
        return call.answer(session, views.touchpoint(session, call.principal, row))


@router.get(
    "/touchpoints/{touchpoint_id}",
    operation_id="imbraceGetTouchpoint",
    response_model=schemas.ImbraceTouchpoint,
    responses=MISSING,
)
def get(touchpoint_id: str, call: Caller) -> Response:
    """Get a touchpoint."""
    with call.read() as session:
        row = touchpoints.find_touchpoint(session, call.org_id, touchpoint_id)
        return json_answer(views.touchpoint(session, call.principal, row))


@router.put(
    "/touchpoints/{touchpoint_id}",
    operation_id="imbraceUpdateTouchpoint",
    response_model=schemas.ImbraceTouchpoint,
    responses=MISSING,
)
def update(touchpoint_id: str, given: TouchpointWritten, call: Caller) -> Response:
    """Change the fields that are given, each as a whole; the others stay."""
    with call.transaction() as session:
        row = touchpoints.update_touchpoint(session, call.org_id, touchpoint_id, given)
        return call.answer(session, views.touchpoint(session, call.principal, row))


@router.delete(
    "/touchpoints/{touchpoint_id}",
    operation_id="imbraceDeleteTouchpoint",
    status_code=NO_CONTENT,
    responses=MISSING,
)
def delete(touchpoint_id: str, call: Caller) -> Response:
    """Delete a touchpoint; recipients at it go on with what comes next."""
    with call.transaction() as session:
        touchpoints.delete_touchpoint(session, call.org_id, touchpoint_id)
        return call.answer(session, None, NO_CONTENT)
