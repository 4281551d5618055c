"""`GET /v1/events:stream` (docs/contract/own-routes.md): server-sent events of the organization, resumable by
`Last-Event-ID`.

An event's id in the stream is its place among all events; a client that comes back with the last one that it saw misses
nothing that is still kept (`MUSTER_RETENTION_EVENT_DAYS`). A comment every `HEARTBEAT_SECONDS` keeps proxies from
closing a silent connection. The stream ends when the process shuts down, or when the database went away: come back;
and when its key or token was revoked or has expired.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, aclosing
from typing import TYPE_CHECKING, Annotated

import structlog
from fastapi import APIRouter, Header, Query, Request
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.responses import Response, StreamingResponse

from engine.api.answers import json_answer
from engine.api.call import Caller
from engine.api.held_stream import HeldStream
from engine.api.targeting.errors import TargetingRoute
from engine.api.targeting.parameters import COMMON
from engine.events.hub import EventHub, Happened
from engine.events.names import AUDIT, check_patterns
from engine.kernel.inputs import Invalid

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from engine.api.credentials_watch import CredentialWatch
    from engine.api.shares import Shares

__all__ = ["HEARTBEAT_SECONDS", "router"]

log = structlog.get_logger(__name__)

HEARTBEAT_SECONDS = 15.0
#: What a client waits before it comes back, in milliseconds.
_RETRY = b"retry: 2000\n\n"
_LARGEST = 2**63 - 1

router = APIRouter(route_class=TargetingRoute, tags=["Events"], responses=COMMON)


@router.get("/v1/events:stream", operation_id="streamEvents", response_class=StreamingResponse)
async def stream(
    call: Caller,
    request: Request,
    last_event_id: Annotated[
        str | None, Header(description="Go on behind this one; 0: all that is kept.")
    ] = None,
    events: Annotated[str, Query(description="Names, groups (`campaign.*`) or `*`, by comma.")] = "*",
) -> Response:
    """Listen to what happens, as it happens (`text/event-stream`)."""
    after = None if last_event_id is None else _position(last_event_id)
    patterns = check_patterns([part.strip() for part in events.split(",") if part.strip()])
    if any(pattern.startswith(AUDIT) for pattern in patterns):
        raise Invalid("events", "what authors do goes to webhooks; GET /v1/audit lists it")
    hub: EventHub = request.app.state.hub
    shares: Shares = request.app.state.shares
    credentials: CredentialWatch = request.app.state.credentials
    async with AsyncExitStack() as held:
        held.enter_context(shares.streams.place(call.org_id))
        ended = held.enter_context(credentials.watching(call.principal))
        listening = await held.enter_async_context(
            aclosing(
                hub.listen(
                    call.org_id, after=after, patterns=patterns, heartbeat=HEARTBEAT_SECONDS, ended=ended
                )
            )
        )
        try:
            await anext(listening)
        except StopAsyncIteration:
            return json_answer(
                {"status": 503, "message": "this process shuts down"}, 503, {"retry-after": "1"}
            )
        return HeldStream(_written(listening), held.pop_all())


async def _written(listening: AsyncIterator[Happened | None]) -> AsyncIterator[bytes]:
    yield _RETRY
    try:
        async for happened in listening:
            if happened is None:
                yield b": here\n\n"
            else:
                yield b"id: %d\nevent: %s\ndata: %s\n\n" % (
                    happened.position,
                    happened.name.encode(),
                    happened.body,
                )
    except (DBAPIError, PoolTimeout) as error:
        log.warning("database.away", reason=str(getattr(error, "orig", error)))


def _position(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= _LARGEST):
        raise Invalid("Last-Event-ID", "is not the id of an event of this stream")
    return int(text)
