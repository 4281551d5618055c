"""Where a voice provider reports what became of calls: `POST /v1/inbound/voice/{channel_id}`.

There is no key of ours in it: the provider signs the body with the secret that the channel keeps (`webhook_secret`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from starlette.responses import Response

from engine.api.answers import json_answer
from engine.api.bodies import read_body
from engine.api.errors import Unauthorized
from engine.api.secrets import secrets_of
from engine.api.signed import REFUSED, answer_error
from engine.api.targeting import schemas
from engine.api.targeting.parameters import COMMON
from engine.goals.call_reports import take_call
from engine.tracking.signatures import Unsigned

if TYPE_CHECKING:
    from engine.kernel.runtime import Runtime

__all__ = ["router"]

router = APIRouter(tags=["Feedback"])

_HEADER = "elevenlabs-signature"


class CallAnswer(schemas.Answer):
    """What became of a report."""

    status: str
    """taken; known: it was taken before; nobody: it is about no recipient; ignored: it is about no call."""
    conversation_id: str | None = None
    campaign_id: UUID | None = None
    recipient_id: UUID | None = None


@router.post(
    "/v1/inbound/voice/{channel_id}", operation_id="receiveCall", response_model=CallAnswer, responses=COMMON
)
async def receive_call(channel_id: str, request: Request) -> Response:
    """Hand in what became of a call, as the provider's webhook does. Each conversation is taken once."""
    try:
        body = await read_body(request)
        return await run_sync(_received, request, channel_id, body)
    except Exception as error:  # noqa: BLE001 - every one is answered
        return await answer_error(request, error)


def _received(request: Request, channel_id: str, body: bytes) -> Response:
    runtime: Runtime = request.app.state.runtime
    signature = request.headers.get(_HEADER, "")
    try:
        channel = UUID(channel_id)
    except ValueError:
        raise Unauthorized(REFUSED) from None
    try:
        with runtime.transaction() as session:
            found = take_call(session, channel, body, signature, secrets_of(request))
    except Unsigned:
        raise Unauthorized(REFUSED) from None
    answered = CallAnswer(**{name: getattr(found, name) for name in CallAnswer.model_fields})
    return json_answer(answered.sent())
