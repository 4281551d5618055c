"""Webhooks and deliveries as the Campaigns API shows them. No secret is among it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.api.masking import shown_url
from engine.events.payloads import event_key, instant
from state.tables import Webhook, WebhookDelivery

if TYPE_CHECKING:
    from engine.kernel.principal import Principal

__all__ = ["delivery", "webhook"]


def webhook(principal: Principal, row: Webhook, *, secret: str | None = None) -> dict[str, Any]:
    """A webhook; `secret` is one that was made just now, and is shown this once."""
    return _given(
        id=str(row.id),
        url=shown_url(principal, row.url),
        description=row.description,
        events=row.events,
        active=row.active,
        disabledReason=row.disabled_reason,
        failingSince=None if row.failing_since is None else instant(row.failing_since),
        previousSecretUntil=None if row.previous_secret_until is None else instant(row.previous_secret_until),
        secret=secret,
        createdAt=instant(row.created_at),
        updatedAt=instant(row.updated_at),
    )


def delivery(row: WebhookDelivery) -> dict[str, Any]:
    """One delivery, and what became of it."""
    return _given(
        id=str(row.id),
        webhookId=str(row.webhook_id),
        eventId=event_key(row.event_id),
        event=row.event,
        campaignId=str(row.campaign_id) if row.campaign_id.int else None,
        status=row.state,
        attempts=row.attempts,
        responseStatus=row.status,
        error=row.error or None,
        durationMs=row.milliseconds,
        redeliveryOf=None if row.redelivery_of is None else str(row.redelivery_of),
        createdAt=instant(row.created_at),
        attemptedAt=None if row.attempted_at is None else instant(row.attempted_at),
        nextAttemptAt=None if row.due_at is None else instant(row.due_at),
        deliveredAt=None if row.delivered_at is None else instant(row.delivered_at),
    )


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
