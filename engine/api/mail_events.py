"""Where mail providers report what became of messages: `POST /v1/inbound/mail/{channel_id}`.

There is no key of ours in it: each provider proves itself in its way (docs/channels.md), with what the channel keeps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from starlette.responses import Response

from engine.answers.classify import classifier_of
from engine.api.answers import json_answer
from engine.api.bodies import read_body
from engine.api.errors import Unauthorized
from engine.api.secrets import secrets_of
from engine.api.signed import REFUSED, answer_error
from engine.api.targeting import schemas
from engine.api.targeting.parameters import COMMON
from engine.inbound.mail_events.sns import AmazonPages, certificate_url, subscribe_url
from engine.inbound.mail_events.take import find_delivery, take_mail_events
from engine.tracking.signatures import Unsigned

if TYPE_CHECKING:
    from engine.inbound.ingest import Answer
    from engine.inbound.mail_events.take import Posted
    from engine.kernel.runtime import Runtime

__all__ = ["router"]

router = APIRouter(tags=["Feedback"])


class MailEventsAnswer(schemas.Answer):
    """What became of the events of a delivery."""

    accepted: int = 0
    duplicate: int = 0
    ignored: int = 0
    rejected: int = 0


@router.post(
    "/v1/inbound/mail/{channel_id}",
    operation_id="receiveMailEvents",
    response_model=MailEventsAnswer,
    responses=COMMON,
)
async def receive_mail_events(channel_id: str, request: Request) -> Response:
    """Hand in what became of messages, as the webhook of a mail provider does. Each event is taken once."""
    try:
        body = await read_body(request)
        posted = await run_sync(_found, request, channel_id, body)
        posted = await _certified(request, posted)
        answers = await run_sync(_taken, request, posted)
        await _confirm(request, posted)
    except Unsigned:
        return await answer_error(request, Unauthorized(REFUSED))
    except Exception as error:  # noqa: BLE001 - every one is answered
        return await answer_error(request, error)
    counts = {name: sum(one.status == name for one in answers) for name in MailEventsAnswer.model_fields}
    return json_answer(MailEventsAnswer(**counts).sent())


def _found(request: Request, channel_id: str, body: bytes) -> Posted:
    runtime: Runtime = request.app.state.runtime
    try:
        channel = UUID(channel_id)
    except ValueError:
        raise Unsigned("it is no channel's id") from None
    with runtime.database.read() as session:
        return find_delivery(session, channel, dict(request.headers), body, secrets_of(request))


def _taken(request: Request, posted: Posted) -> list[Answer]:
    runtime: Runtime = request.app.state.runtime
    with runtime.transaction() as session:
        return take_mail_events(session, posted, classifier_of(runtime.settings.answer_rules))


async def _certified(request: Request, posted: Posted) -> Posted:
    """With the certificate of its signer, where it names one."""
    org_id, kind, delivery = posted
    if kind != "ses":
        return posted
    url = certificate_url(delivery.body, delivery.settings.get("topic_arn"))
    certificate = None if url is None else await _pages(request).certificate(url)
    return org_id, kind, delivery._replace(certificate=certificate)


async def _confirm(request: Request, posted: Posted) -> None:
    """Tell Amazon that the channel's topic may post here, if it asks."""
    _, kind, delivery = posted
    if kind == "ses" and (url := subscribe_url(delivery.body)) is not None:
        await _pages(request).get(url)


def _pages(request: Request) -> AmazonPages:
    """The process's."""
    state = request.app.state
    if getattr(state, "amazon_pages", None) is None:
        state.amazon_pages = AmazonPages(state.runtime.guard)
    pages: AmazonPages = state.amazon_pages
    return pages
