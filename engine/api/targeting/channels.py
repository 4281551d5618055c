"""`/v1/channel` (docs/contract/own-routes.md): configured senders. Changing them is an admin's; credentials go in
only.
"""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from engine.api.answers import NO_CONTENT, json_answer
from engine.api.call import Caller
from engine.api.channel_checks import check_channel
from engine.api.secrets import secrets_of
from engine.api.targeting import schemas, views
from engine.api.targeting.errors import AdminRoute
from engine.api.targeting.parameters import COMMON, CONFLICT, MISSING, Limit, Next
from engine.campaigns import channels
from engine.campaigns.channels import ChannelChange, ChannelInput

__all__ = ["router"]

router = APIRouter(route_class=AdminRoute, tags=["Channel"], responses=COMMON)


@router.post("/v1/channel", operation_id="createChannel", status_code=201, response_model=schemas.Channel)
def create(given: ChannelInput, call: Caller, request: Request) -> Response:
    """Create a channel. Its settings and credentials are checked by its kind."""
    with call.transaction() as session:
        channel = channels.create_channel(session, call.org_id, given, secrets_of(request))
        return call.answer(session, views.channel(call.principal, channel), 201)


@router.get("/v1/channel", operation_id="listChannels", response_model=schemas.Results)
def listed(call: Caller, limit: Limit = 25, next: Next = None) -> Response:  # noqa: A002
    """List channels, newest first."""
    with call.read() as session:
        found = channels.list_channels(session, call.org_id, limit=limit, next=next or None)
        return json_answer(views.page(found, lambda row: views.channel(call.principal, row)))


@router.get(
    "/v1/channel/{channel_id}",
    operation_id="getChannel",
    response_model=schemas.Channel,
    responses=MISSING,
)
def get(channel_id: UUID, call: Caller) -> Response:
    """Get a channel, without its credentials."""
    with call.read() as session:
        return json_answer(
            views.channel(call.principal, channels.get_channel(session, call.org_id, channel_id))
        )


@router.patch(
    "/v1/channel/{channel_id}",
    operation_id="updateChannel",
    response_model=schemas.Channel,
    responses=MISSING,
)
def update(channel_id: UUID, given: ChannelChange, call: Caller, request: Request) -> Response:
    """Change a channel; jobs that wait for its provider try again."""
    with call.transaction() as session:
        given.check_unwritten(
            lambda: views.channel(call.principal, channels.get_channel(session, call.org_id, channel_id))
        )
        channel = channels.update_channel(session, call.org_id, channel_id, given, secrets_of(request))
        return call.answer(session, views.channel(call.principal, channel))


@router.delete(
    "/v1/channel/{channel_id}",
    operation_id="deleteChannel",
    status_code=NO_CONTENT,
    responses=MISSING | CONFLICT,
)
def delete(channel_id: UUID, call: Caller) -> Response:
    """Delete a channel that no flow names."""
    with call.transaction() as session:
        channels.delete_channel(session, call.org_id, channel_id)
        return call.answer(session, None, NO_CONTENT)


@router.post(
    "/v1/channel/{channel_id}:test",
    operation_id="testChannel",
    response_model=schemas.ChannelCheck,
    responses=MISSING,
)
async def test(channel_id: UUID, call: Caller, request: Request) -> Response:
    """Ask the provider whether it answers and accepts the credentials, and of a mail channel whether receivers will
    believe it (SPF, DKIM, DMARC, reverse name, TLS), with what to publish. Sends nothing to anybody.
    """
    trouble, found = await check_channel(request, call, channel_id)
    records = [schemas.DomainFinding.model_validate(one, from_attributes=True) for one in found]
    return json_answer(
        schemas.ChannelCheck(ok=trouble is None, message=trouble, records=records or None).sent()
    )
