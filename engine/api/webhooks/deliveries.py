"""`/api/v1/webhooks/{id}/deliveries`: the log of telling, and telling again."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response

from engine.api.answers import json_answer
from engine.api.call import Caller
from engine.api.campaigns.errors import CampaignsRoute
from engine.api.campaigns.views import ok
from engine.api.webhooks import views
from engine.events import webhooks
from engine.kernel.inputs import Invalid
from state.errors import NotFound

__all__ = ["router"]

router = APIRouter(route_class=CampaignsRoute, tags=["Webhooks"])

_LARGEST = 2**63 - 1


@router.get("/api/v1/webhooks/{webhook_id}/deliveries", operation_id="listWebhookDeliveries")
def listed(
    webhook_id: UUID,
    call: Caller,
    status: Annotated[str | None, Query(description="pending, delivered or dead.")] = None,
    limit: Annotated[int, Query(description="How many at most, 1..1000.")] = 50,
    next: Annotated[str | None, Query(description="What the page before this one gave.")] = None,  # noqa: A002
) -> Response:
    """List the deliveries to a webhook, newest first."""
    before = None if next is None else _number(next)
    if next is not None and before is None:
        raise Invalid("next", "is not a cursor that this list gave out")
    with call.read() as session:
        found, cursor = webhooks.list_deliveries(
            session, call.org_id, webhook_id, state=status, limit=limit, before=before
        )
        page = {"deliveries": [views.delivery(row) for row in found], "next": cursor and str(cursor)}
        return json_answer(ok({name: value for name, value in page.items() if value is not None}))


@router.get("/api/v1/webhooks/{webhook_id}/deliveries/{delivery_id}", operation_id="getWebhookDelivery")
def get(webhook_id: UUID, delivery_id: str, call: Caller) -> Response:
    """Get one delivery."""
    with call.read() as session:
        row = webhooks.get_delivery(session, call.org_id, webhook_id, _known(delivery_id))
        return json_answer(ok(views.delivery(row)))


@router.post(
    "/api/v1/webhooks/{webhook_id}/deliveries/{delivery_id}:redeliver",
    operation_id="redeliverWebhook",
    status_code=201,
)
def redeliver(webhook_id: UUID, delivery_id: str, call: Caller) -> Response:
    """Send an event once more: a new delivery, under the same event id."""
    with call.transaction() as session:
        row = webhooks.redeliver(session, call.org_id, webhook_id, _known(delivery_id))
        return call.answer(session, ok(views.delivery(row)), 201)


@router.post("/api/v1/webhooks/{webhook_id}/deliveries:redeliver", operation_id="redeliverDeadWebhooks")
def redeliver_dead(webhook_id: UUID, call: Caller) -> Response:
    """Send what was given up once more, at most 1,000 at a time."""
    with call.transaction() as session:
        count = webhooks.redeliver_dead(session, call.org_id, webhook_id)
        return call.answer(session, ok({"redelivered": count}))


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and int(text) <= _LARGEST else None


def _known(text: str) -> int:
    number = _number(text)
    if number is None:
        raise NotFound("webhook_delivery", text)
    return number
