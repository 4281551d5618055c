"""Mailgun's webhooks, signed in the body (HMAC-SHA256 of instant and token).

A temporary failure is a delay, because Mailgun tries again.

Source: https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks, …/events/event-structure
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any

import orjson

from engine.inbound.mail_events.reading import epoch, is_fresh, item, part, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.inbound.mail_events.reading import Delivery, Item

__all__ = ["is_proven", "read"]

_TYPES = {
    "delivered": "message.delivered",
    "opened": "message.read",
    "clicked": "message.clicked",
    "failed": "message.bounced",
    "complained": "message.complained",
    "unsubscribed": "message.unsubscribed",
}
#: Why Mailgun did not even try.
_SUPPRESSED = {"suppress-complaint": "message.complained", "suppress-unsubscribe": "message.unsubscribed"}


def is_proven(delivery: Delivery) -> bool:
    """Whether its body is signed with the account's key."""
    key = delivery.secret("webhook_signing_key")
    try:
        given = part(orjson.loads(delivery.body), "signature")
    except orjson.JSONDecodeError:
        return False
    instant, token, signature = (str(part(given, name) or "") for name in ("timestamp", "token", "signature"))
    if key is None or not is_fresh(epoch(instant), delivery.now):
        return False
    expected = hmac.digest(key.encode(), f"{instant}{token}".encode(), hashlib.sha256).hex()
    return hmac.compare_digest(expected.encode(), signature.encode(errors="replace"))


def read(said: Any) -> Iterator[Item]:
    """The event of a delivery."""
    event = part(said, "event-data")
    name, reason = part(event, "event"), part(event, "reason")
    type_ = _TYPES.get(name) if isinstance(name, str) else None
    if type_ is None:
        return
    more: dict[str, Any] = {}
    if name == "clicked":
        more["url"] = text(part(event, "url"), 2000)
    elif name == "failed":
        type_ = _SUPPRESSED.get(reason, type_) if isinstance(reason, str) else type_
        status = part(event, "delivery-status")
        more["reason"] = text(part(status, "message"), 1000) or text(part(status, "description"), 1000)
        if part(event, "severity") == "temporary":
            type_ = "message.delayed"
        elif reason == "suppress-bounce":  # its words are about Mailgun's list
            more = {"bounce_subtype": "suppress-bounce"}
        else:
            more["bounce_subtype"] = text(part(status, "enhanced-code"), 64)
    at, marks = epoch(part(event, "timestamp")), part(event, "user-variables")
    yield from item(
        "mailgun", text(part(event, "id"), 150), type_, at, marks, part(event, "recipient"), **more
    )
