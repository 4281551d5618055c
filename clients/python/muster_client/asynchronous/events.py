"""Events and webhooks. `synchronous` is generated from `asynchronous` (`make client`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from muster_client.asynchronous.resource import Resource
from muster_client.calls import Call, given, part

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from muster_client.asynchronous.resource import Send
    from muster_client.types import (
        Answered,
        Event,
        EventAnswers,
        EventName,
        EventNames,
        Webhook,
        WebhookDelivery,
        WebhookDeliveryPage,
        WebhookList,
    )

__all__ = ["Events", "Webhooks"]

_WEBHOOKS = "/api/v1/webhooks"
#: Seconds between two signs of life of the stream, and some for the way.
_SILENCE = 30.0
#: Deliveries that a list reads at once.
_PAGE = 1000


class Events(Resource):
    """Events: yours, which Muster takes, and Muster's, which it sends."""

    def __init__(self, send: Send, listen: Callable[[Call[Any], str | None], AsyncIterator[Event]]) -> None:
        super().__init__(send)
        self._listen = listen

    async def report(
        self, events: Sequence[Mapping[str, Any]], *, idempotency_key: str | None = None
    ) -> EventAnswers:
        """Report what happened outside, at most 1,000 at once (docs/tracking.md).

        Each event is taken once by its `id`; what is wrong with one stops no other.
        """
        call: Call[EventAnswers] = Call("POST", "/v1/events", json=list(events))
        return await self._send(call, idempotency_key)

    def listen(self, *patterns: str, after: str | None = None) -> AsyncIterator[Event]:
        """Events as they happen, for ever. A lost connection is made again, behind the last event that was given.

        Args:
            patterns: Names, groups (`campaign.*`) or `*`; none: all.
            after: The `position` of the last event that was seen; `0`: all that is kept; absent: from now on.

        Raises:
            ApiError: the key is refused, or a pattern names no event.
            ConnectionFailed: no attempt reached the server.
        """
        params = given(events=",".join(patterns) or None)
        call: Call[Any] = Call(
            "GET", "/v1/events:stream", params, headers={"accept": "text/event-stream"}, patience=_SILENCE
        )
        return self._listen(call, after)


class Webhooks(Resource):
    """Subscriptions to events over HTTP. `muster_client.webhooks.verify` checks what arrives."""

    async def list(self) -> AsyncIterator[Webhook]:
        """All of them, newest first."""
        call: Call[Answered[WebhookList]] = Call("GET", _WEBHOOKS)
        for webhook in (await self._send(call))["data"]["webhooks"]:
            yield webhook

    async def list_events(self) -> AsyncIterator[EventName]:
        """The events that a webhook may name."""
        call: Call[Answered[EventNames]] = Call("GET", f"{_WEBHOOKS}/events")
        for event in (await self._send(call))["data"]["events"]:
            yield event

    async def get(self, webhook_id: str) -> Webhook:
        """Raises NotFound."""
        call: Call[Answered[Webhook]] = Call("GET", f"{_WEBHOOKS}/{part(webhook_id)}")
        return (await self._send(call))["data"]

    async def create(self, body: Mapping[str, Any], *, idempotency_key: str | None = None) -> Webhook:
        """A new one: `{"url", "events", "description"?, "secret"?, "active"?}`.

        The answer holds the secret that was made, this once. For an administrator's key.
        """
        call: Call[Answered[Webhook]] = Call("POST", _WEBHOOKS, json=body)
        return (await self._send(call, idempotency_key))["data"]

    async def update(
        self, webhook_id: str, body: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> Webhook:
        """Change the fields that are given."""
        call: Call[Answered[Webhook]] = Call("PUT", f"{_WEBHOOKS}/{part(webhook_id)}", json=body)
        return (await self._send(call, idempotency_key))["data"]

    async def delete(self, webhook_id: str, *, idempotency_key: str | None = None) -> None:
        """Remove it, with its log and what waits for it."""
        call: Call[Any] = Call("DELETE", f"{_WEBHOOKS}/{part(webhook_id)}")
        await self._send(call, idempotency_key)

    async def rotate_secret(
        self,
        webhook_id: str,
        *,
        secret: str | None = None,
        overlap_seconds: int | None = None,
        idempotency_key: str | None = None,
    ) -> Webhook:
        """Replace the secret; the old one signs beside it for a day, or for `overlap_seconds`."""
        body = given(secret=secret, overlapSeconds=overlap_seconds)
        path = f"{_WEBHOOKS}/{part(webhook_id)}:rotate-secret"
        call: Call[Answered[Webhook]] = Call("POST", path, json=body)
        return (await self._send(call, idempotency_key))["data"]

    async def deliveries(
        self, webhook_id: str, *, status: str | None = None
    ) -> AsyncIterator[WebhookDelivery]:
        """The events that it was sent, newest first, a page at a time; `status`: `pending`, `delivered`, `dead`."""
        params: dict[str, Any] = given(status=status, limit=_PAGE)
        while True:
            path = f"{_WEBHOOKS}/{part(webhook_id)}/deliveries"
            call: Call[Answered[WebhookDeliveryPage]] = Call("GET", path, params)
            page = (await self._send(call))["data"]
            for delivery in page["deliveries"]:
                yield delivery
            if page.get("next") is None:
                return
            params = {**params, "next": page["next"]}

    async def get_delivery(self, webhook_id: str, delivery_id: str) -> WebhookDelivery:
        """Raises NotFound."""
        path = f"{_WEBHOOKS}/{part(webhook_id)}/deliveries/{part(delivery_id)}"
        call: Call[Answered[WebhookDelivery]] = Call("GET", path)
        return (await self._send(call))["data"]

    async def redeliver(
        self, webhook_id: str, delivery_id: str, *, idempotency_key: str | None = None
    ) -> WebhookDelivery:
        """Send one event once more."""
        path = f"{_WEBHOOKS}/{part(webhook_id)}/deliveries/{part(delivery_id)}:redeliver"
        call: Call[Answered[WebhookDelivery]] = Call("POST", path)
        return (await self._send(call, idempotency_key))["data"]

    async def redeliver_dead(self, webhook_id: str, *, idempotency_key: str | None = None) -> int:
        """Send what was given up once more, oldest first, at most 1,000; how many that were."""
        path = f"{_WEBHOOKS}/{part(webhook_id)}/deliveries:redeliver"
        call: Call[Answered[dict[str, int]]] = Call("POST", path)
        return (await self._send(call, idempotency_key))["data"]["redelivered"]
