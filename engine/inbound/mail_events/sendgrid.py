"""SendGrid's event webhook, signed with its private key (ECDSA over instant and body).

| `event` | what is read |
|---|---|
| `delivered`, `deferred`, `open`, `click` | delivered, delayed, read, clicked |
| `bounce` | bounced; `blocked` is a refusal that says nothing about the address |
| `dropped` | bounced, complained or unsubscribed, as SendGrid's own list says |
| `spamreport`, `unsubscribe`, `group_unsubscribe` | complained, unsubscribed |

Source: https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event,
…/getting-started-event-webhook-security-features
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from engine.inbound.mail_events.reading import epoch, is_fresh, item, part, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.inbound.mail_events.reading import Delivery, Item

__all__ = ["is_proven", "read"]

_SIGNATURE = "x-twilio-email-event-webhook-signature"
_INSTANT = "x-twilio-email-event-webhook-timestamp"
_TYPES = {
    "delivered": "message.delivered",
    "deferred": "message.delayed",
    "open": "message.read",
    "click": "message.clicked",
    "bounce": "message.bounced",
    "dropped": "message.bounced",
    "spamreport": "message.complained",
    "unsubscribe": "message.unsubscribed",
    "group_unsubscribe": "message.unsubscribed",
}
#: Why SendGrid did not even try.
_DROPPED = {
    "spam reporting address": "message.complained",
    "unsubscribed address": "message.unsubscribed",
}


def is_proven(delivery: Delivery) -> bool:
    """Whether it has SendGrid's signature."""
    key, instant = delivery.secret("webhook_public_key"), delivery.header(_INSTANT)
    if key is None or not is_fresh(epoch(instant), delivery.now):
        return False
    try:
        public = load_der_public_key(base64.b64decode(key, validate=True))
        signature = base64.b64decode(delivery.header(_SIGNATURE), validate=True)
        if not isinstance(public, EllipticCurvePublicKey):
            return False
        public.verify(signature, instant.encode() + delivery.body, ECDSA(SHA256()))
    except (ValueError, binascii.Error, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def read(said: Any) -> Iterator[Item]:
    """The events of a delivery."""
    for one in said if isinstance(said, list) else []:
        event = part(one, "event")
        type_ = _TYPES.get(event) if isinstance(event, str) else None
        reason = text(part(one, "reason"), 1000)
        more: dict[str, Any] = {"reason": reason}
        if event == "dropped":
            type_ = _DROPPED.get((reason or "").lower(), type_)
            more = {"bounce_subtype": text(reason, 64)}
        elif event == "bounce":
            more["bounce_type"] = "transient" if part(one, "type") == "blocked" else "permanent"
            more["bounce_subtype"] = text(part(one, "status"), 64)
        elif event == "click":
            more = {"url": text(part(one, "url"), 2000)}
        elif event == "open":
            more = {"bot": part(one, "sg_machine_open") is True or None}
        if type_ is not None:
            at, event_id = epoch(part(one, "timestamp")), text(part(one, "sg_event_id"), 150)
            yield from item("sendgrid", event_id, type_, at, one, part(one, "email"), **more)
