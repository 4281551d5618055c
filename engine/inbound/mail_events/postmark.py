"""Postmark's webhooks. Postmark signs nothing: its deliveries have the password that stands in the webhook's address
(`https://muster:PASSWORD@…`) as HTTP Basic authentication.

Source: https://postmarkapp.com/developer/webhooks/webhooks-overview, …/developer/api/bounce-api#bounce-types
"""

from __future__ import annotations

import base64
import hmac
from typing import TYPE_CHECKING, Any

from engine.inbound.mail_events.reading import item, moment, part, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.inbound.mail_events.reading import Delivery, Item

__all__ = ["USER", "is_proven", "read"]

#: In front of the password, in the webhook's address.
USER = "muster"
_TYPES = {
    "Delivery": "message.delivered",
    "Open": "message.read",
    "Click": "message.clicked",
    "Bounce": "message.bounced",
    "SpamComplaint": "message.complained",
}
#: Types of bounces that are none.
_BOUNCES = {
    "Transient": "message.delayed",
    "DnsError": "message.delayed",
    "SpamNotification": "message.complained",
    "SpamComplaint": "message.complained",
    "Unsubscribe": "message.unsubscribed",
    "ManualSuppression": "message.unsubscribed",
    "AutoResponder": None,
    "AddressChange": None,
    "ChallengeVerification": None,
    "Subscribe": None,
    "OpenRelayTest": None,
    "Unconfirmed": None,
    "InboundError": None,
}
_INSTANTS = ("DeliveredAt", "BouncedAt", "ReceivedAt", "ChangedAt")


def is_proven(delivery: Delivery) -> bool:
    """Whether it has the password."""
    password = delivery.secret("webhook_password")
    if password is None:
        return False
    expected = b"Basic " + base64.b64encode(f"{USER}:{password}".encode())
    return hmac.compare_digest(expected, delivery.header("authorization").encode(errors="replace"))


def read(said: Any) -> Iterator[Item]:
    """The event of a delivery."""
    record = part(said, "RecordType")
    type_ = _TYPES.get(record) if isinstance(record, str) else None
    more: dict[str, Any] = {}
    if record == "SubscriptionChange":
        by_hand = part(said, "SuppressionReason") == "ManualSuppression"
        type_ = "message.unsubscribed" if part(said, "SuppressSending") is True and by_hand else None
    elif record == "Bounce":
        bounce = str(part(said, "Type"))
        type_ = _BOUNCES.get(bounce, type_)
        more["reason"] = text(part(said, "Details"), 1000)
        more["bounce_type"] = "transient" if bounce == "SoftBounce" else None
        more["bounce_subtype"] = text(bounce, 64) if type_ == "message.bounced" else None
    elif record == "Click":
        more["url"] = text(part(said, "OriginalLink"), 2000)
    if type_ is None:
        return
    given = next((value for name in _INSTANTS if (value := part(said, name)) is not None), None)
    event_id = (
        part(said, "ID") or f"{part(said, 'MessageID')}:{record}:{given}:{part(said, 'OriginalLink') or ''}"
    )
    address = part(said, "Email") or part(said, "Recipient")
    yield from item(
        "postmark", text(str(event_id), 150), type_, moment(given), part(said, "Metadata"), address, **more
    )
