"""Resend's webhooks, signed as Svix does (HMAC-SHA256 of id, instant and body).

Source: https://resend.com/docs/dashboard/webhooks/event-types, https://docs.svix.com/receiving/verifying-payloads/how-manual
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import TYPE_CHECKING, Any

from engine.inbound.mail_events.reading import epoch, is_fresh, item, moment, part, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.inbound.mail_events.reading import Delivery, Item

__all__ = ["is_proven", "read"]

_TYPES = {
    "email.delivered": "message.delivered",
    "email.delivery_delayed": "message.delayed",
    "email.opened": "message.read",
    "email.clicked": "message.clicked",
    "email.bounced": "message.bounced",
    "email.complained": "message.complained",
}
#: While a secret is being replaced there are two.
_MOST = 5


def is_proven(delivery: Delivery) -> bool:
    """Whether it has a signature of the channel's secret."""
    secret, instant = delivery.secret("webhook_secret"), delivery.header("svix-timestamp")
    if secret is None or not is_fresh(epoch(instant), delivery.now):
        return False
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (ValueError, binascii.Error):
        return False
    signed = f"{delivery.header('svix-id')}.{instant}.".encode() + delivery.body
    expected = b"v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256))
    given = delivery.header("svix-signature").split(" ")[:_MOST]
    matches = [hmac.compare_digest(expected, one.encode(errors="replace")) for one in given]
    return any(matches)  # no early end: how long it takes says nothing about which of them it was


def read(said: Any, event_id: str) -> Iterator[Item]:
    """The event of a delivery, whose id is in a header (`svix-id`)."""
    name, data = part(said, "type"), part(said, "data")
    type_ = _TYPES.get(name) if isinstance(name, str) else None
    if type_ is None:
        return
    more: dict[str, Any] = {}
    if name == "email.clicked":
        more["url"] = text(part(data, "click", "link"), 2000)
    elif name == "email.bounced":
        bounce = part(data, "bounce")
        kind = str(part(bounce, "type") or "Permanent")
        more["bounce_type"] = "permanent" if kind == "Permanent" else "transient"
        more["bounce_subtype"] = text(part(bounce, "subType"), 64)
        more["reason"] = text(part(bounce, "message"), 1000)
    people = part(data, "to")
    address = people[0] if isinstance(people, list) and people else None
    at = moment(part(said, "created_at"))
    yield from item("resend", text(event_id, 150), type_, at, _marks(part(data, "tags")), address, **more)


def _marks(tags: Any) -> Any:
    """Tags as an object: Resend gives them so, or as they were sent."""
    if not isinstance(tags, list):
        return tags
    return {part(tag, "name"): part(tag, "value") for tag in tags if isinstance(part(tag, "name"), str)}
