"""Webhooks: who gets which events, what receivers answered, and redelivery."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from engine.api.console.paths import ROOT
from engine.api.console.view import AdminRoute, ConsoleRoute, View, Viewing
from engine.api.secrets import secrets_of
from engine.events import names
from engine.events.webhooks import (
    WebhookInput,
    create_webhook,
    delete_webhook,
    get_webhook,
    list_deliveries,
    list_webhooks,
    redeliver,
)
from engine.kernel.inputs import Invalid, read
from engine.kernel.outbound import Guard

if TYPE_CHECKING:
    from starlette.responses import Response as Answer

__all__ = ["ROUTERS"]


_guarded = APIRouter(route_class=AdminRoute, include_in_schema=False)
_again = APIRouter(route_class=ConsoleRoute, include_in_schema=False)

_PATH = f"{ROOT}/webhooks"
_STATES = ("pending", "delivered", "dead")
_SIZE = 50
#: Webhooks that are listed.
_MOST = 200


@_guarded.get(_PATH)
def show(view: Viewing) -> Response:
    """All of them."""
    return _listed(view)


@_guarded.post(_PATH, name="console.create_webhook")
def create(view: Viewing) -> Response:
    """Keep a new one; its secret is shown once."""
    try:
        given = read(WebhookInput, {"url": view.field("url"), "events": view.fields("events")})
        guard = Guard(view.call.runtime.settings.webhook_networks)
        with view.call.transaction() as session:
            _, secret = create_webhook(session, view.call.org_id, given, secrets_of(view.request), guard)
    except Invalid as error:
        return _listed(view, error=error)
    return _listed(view, secret=secret or "")


@_guarded.get(f"{_PATH}/{{webhook_id}}")
def one(view: Viewing, webhook_id: UUID, state: str = "", before: int | None = None) -> Response:
    """One, and the log of telling it."""
    state = state if state in _STATES else ""
    with view.call.read() as session:
        row = get_webhook(session, view.call.org_id, webhook_id)
        found, older = list_deliveries(
            session, view.call.org_id, webhook_id, state=state or None, limit=_SIZE, before=before
        )
        return view.page(
            "webhook.html",
            row=row,
            deliveries=found,
            older=older,
            state=state,
            states=_STATES,
            first=before is None,
        )


@_guarded.post(f"{_PATH}/{{webhook_id}}/delete", name="console.delete_webhook")
def delete(view: Viewing, webhook_id: UUID) -> Response:
    """Remove one."""
    with view.call.transaction() as session:
        delete_webhook(session, view.call.org_id, webhook_id)
    return view.go(_PATH, view.gettext("The webhook is removed."))


@_again.post(f"{_PATH}/{{webhook_id}}/deliveries/{{delivery_id}}/again", name="console.redeliver")
def again(view: Viewing, webhook_id: UUID, delivery_id: int) -> Response:
    """Tell it once more."""
    with view.call.transaction() as session:
        redeliver(session, view.call.org_id, webhook_id, delivery_id)
    return view.go(f"{_PATH}/{webhook_id}", view.gettext("It is told again."))


def _listed(view: View, *, error: Invalid | None = None, secret: str = "") -> Answer:
    with view.call.read() as session:
        return view.page(
            "webhooks.html",
            status=200 if error is None else 400,
            rows=list_webhooks(session, view.call.org_id, limit=_MOST).results,
            patterns=names.PATTERNS,
            url=view.field("url"),
            chosen=view.fields("events"),
            secret=secret,
            error=error,
        )


ROUTERS = (_guarded, _again)
