"""A message to one recipient, and its content: what rendering gives and channels send."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from engine.content.enclosed import Enclosed

__all__ = ["MESSAGE_FIELDS", "Content", "Message"]

#: The fields of a message that channels may put into a request.
MESSAGE_FIELDS = (
    "execution_id",
    "campaign_id",
    "entity_id",
    "address",
    "subject",
    "text",
    "html",
    "sender_email",
    "sender_name",
    "unsubscribe_url",
)


@dataclass(slots=True)
class Content:
    """What a template became for one recipient. Parts that the template lacks are absent. Nobody changes one (see
    `Message`).
    """

    subject: str = ""
    text: str | None = None
    html: str | None = None
    sender_email: str | None = None
    sender_name: str | None = None
    data: Mapping[str, Any] | None = None
    """What a kind takes beside text, under the kind's name: `{"whatsapp": {"template": {…}}}`. Rendered."""
    reply_to: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    """More headers, name and value."""
    enclosed: Enclosed | None = None
    """Files that go with it: the same for every recipient."""


@dataclass(slots=True)
class Message:
    """One message to one recipient. Nobody changes one; frozen, it would cost as much to make as to render."""

    execution_id: UUID
    """The idempotency key: the same over all attempts of one execution."""
    org_id: UUID
    campaign_id: UUID
    entity_id: UUID
    address: str
    """As the channel's `address_of` gave it."""
    content: Content
    unsubscribe_url: str | None = None
    touchpoint_id: UUID | None = None
    """What it is the message of."""
    extras: Mapping[str, Any] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The entity's, for channels whose own settings are templates."""

    def as_dict(self) -> dict[str, Any]:
        """What is sent, by the names of `MESSAGE_FIELDS`. Parts that it lacks are None."""
        content = self.content
        return {
            "execution_id": str(self.execution_id),
            "campaign_id": str(self.campaign_id),
            "entity_id": str(self.entity_id),
            "address": self.address,
            "subject": content.subject,
            "text": content.text,
            "html": content.html,
            "sender_email": content.sender_email,
            "sender_name": content.sender_name,
            "unsubscribe_url": self.unsubscribe_url,
        }
