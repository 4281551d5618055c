"""Amazon SES' events, as SNS carries them: of a configuration set, or an identity's notifications.

| `eventType` or `notificationType` | what is read |
|---|---|
| Delivery, DeliveryDelay, Open, Click | delivered, delayed, read, clicked |
| Bounce | bounced, for each of the recipients it names |
| Complaint | complained, the same |

Source: https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.inbound.mail_events.reading import item, moment, part, text
from engine.inbound.mail_events.sns import read_sns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.inbound.mail_events.reading import Item

__all__ = ["read"]

_TYPES = {
    "Delivery": ("message.delivered", "delivery", None),
    "DeliveryDelay": ("message.delayed", "deliveryDelay", "delayedRecipients"),
    "Open": ("message.read", "open", None),
    "Click": ("message.clicked", "click", None),
    "Bounce": ("message.bounced", "bounce", "bouncedRecipients"),
    "Complaint": ("message.complained", "complaint", "complainedRecipients"),
}


def read(said: Any) -> Iterator[Item]:
    """The events of a notification."""
    message = part(said, "Message")
    event = read_sns(message.encode(errors="replace")) if isinstance(message, str) else {}
    name = event.get("eventType") or event.get("notificationType")
    if not isinstance(name, str) or name not in _TYPES:
        return
    type_, where, people = _TYPES[name]
    about, mail = part(event, where), part(event, "mail")
    more: dict[str, Any] = {}
    if name == "Bounce":
        permanent = part(about, "bounceType") == "Permanent"
        more = {
            "bounce_type": "permanent" if permanent else "transient",
            "bounce_subtype": text(part(about, "bounceSubType"), 64),
        }
    elif name == "Complaint":
        more["complaint_type"] = text(part(about, "complaintFeedbackType"), 64)
    elif name == "Click":
        more["url"] = text(part(about, "link"), 2000)
    at = moment(part(about, "timestamp"))
    given = part(about, people) if people is not None else part(mail, "destination")
    for place, one in enumerate(given if isinstance(given, list) else []):
        address = one if isinstance(one, str) else part(one, "emailAddress")
        its = {**more, "reason": text(part(one, "diagnosticCode"), 1000)}
        if name == "Bounce" and (status := text(part(one, "status"), 64)) is not None:
            its["bounce_subtype"] = status
        event_id = f"{part(said, 'MessageId')}:{place}"
        yield from item("ses", event_id, type_, at, _marks(part(mail, "tags")), address, **its)


def _marks(tags: Any) -> Any:
    """Each tag has a list of values."""
    if not isinstance(tags, dict):
        return None
    return {name: values[0] for name, values in tags.items() if isinstance(values, list) and values}
