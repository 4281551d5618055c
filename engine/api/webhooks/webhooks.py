"""`/api/v1/webhooks`: subscriptions. Changing them is an admin's: they carry events out of the house."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import ConfigDict
from pydantic.alias_generators import to_camel
from starlette.responses import Response

from engine.api.answers import json_answer
from engine.api.call import Caller
from engine.api.campaigns.errors import CampaignsRoute
from engine.api.campaigns.views import ok
from engine.api.secrets import secrets_of
from engine.api.webhooks import views
from engine.events import webhooks
from engine.events.names import EVENTS
from engine.events.webhooks import Rotation, WebhookChange, WebhookInput
from engine.kernel.outbound import Guard
from engine.kernel.principal import Role

__all__ = ["router"]


class AdminRoute(CampaignsRoute):
    """A route that only an admin's key may change things by."""

    role = Role.ADMIN


router = APIRouter(route_class=AdminRoute, tags=["Webhooks"])


class RotationBody(Rotation):
    """The same, in the dialect's spelling."""

    model_config = ConfigDict(alias_generator=to_camel)


def _guard(request: Request) -> Guard:
    return Guard(request.app.state.runtime.settings.webhook_networks)


@router.post("/api/v1/webhooks", operation_id="createWebhook", status_code=201)
def create(given: WebhookInput, call: Caller, request: Request) -> Response:
    """Create a webhook. Without a secret one is made, and shown in this answer alone."""
    with call.transaction() as session:
        row, made = webhooks.create_webhook(session, call.org_id, given, secrets_of(request), _guard(request))
        shown, kept = (
            ok(views.webhook(call.principal, row, secret=made)),
            ok(views.webhook(call.principal, row)),
        )
        return call.answer(session, shown, 201, kept=kept)


@router.get("/api/v1/webhooks", operation_id="listWebhooks")
def listed(call: Caller) -> Response:
    """List webhooks, newest first."""
    with call.read() as session:
        found = webhooks.list_webhooks(session, call.org_id).results
        return json_answer(ok({"webhooks": [views.webhook(call.principal, row) for row in found]}))


@router.get("/api/v1/webhooks/events", operation_id="listWebhookEvents")
def events(call: Caller) -> Response:  # noqa: ARG001 - a key is needed all the same
    """List the events that a webhook may name, and what each says."""
    return json_answer(ok({"events": [{"name": name, "says": says} for name, says in EVENTS.items()]}))


@router.get("/api/v1/webhooks/{webhook_id}", operation_id="getWebhook")
def get(webhook_id: UUID, call: Caller) -> Response:
    """Get a webhook, without its secret."""
    with call.read() as session:
        return json_answer(
            ok(views.webhook(call.principal, webhooks.get_webhook(session, call.org_id, webhook_id)))
        )


@router.put("/api/v1/webhooks/{webhook_id}", operation_id="updateWebhook")
def update(webhook_id: UUID, given: WebhookChange, call: Caller, request: Request) -> Response:
    """Change a webhook; what is not given stays. A new secret signs beside the old one for a day."""
    with call.transaction() as session:
        given.check_unwritten(
            lambda: views.webhook(call.principal, webhooks.get_webhook(session, call.org_id, webhook_id))
        )
        row = webhooks.update_webhook(
            session, call.org_id, webhook_id, given, secrets_of(request), _guard(request)
        )
        return call.answer(session, ok(views.webhook(call.principal, row)))


@router.delete("/api/v1/webhooks/{webhook_id}", operation_id="deleteWebhook")
def delete(webhook_id: UUID, call: Caller) -> Response:
    """Delete a webhook, with its log and what waits for it."""
    with call.transaction() as session:
        webhooks.delete_webhook(session, call.org_id, webhook_id)
        return call.answer(session, ok({"message": "the webhook was deleted"}))


@router.post("/api/v1/webhooks/{webhook_id}:rotate-secret", operation_id="rotateWebhookSecret")
def rotate(webhook_id: UUID, call: Caller, request: Request, given: RotationBody | None = None) -> Response:
    """Replace the secret. Without one in the body one is made, and shown in this answer alone."""
    with call.transaction() as session:
        row, made = webhooks.rotate_secret(
            session, call.org_id, webhook_id, given or Rotation(), secrets_of(request)
        )
        shown, kept = (
            ok(views.webhook(call.principal, row, secret=made)),
            ok(views.webhook(call.principal, row)),
        )
        return call.answer(session, shown, kept=kept)
