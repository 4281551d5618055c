"""What others report on `POST /v1/events`: the items, checked one by one (docs/contract/own-routes.md).

A message is named by its Message-ID, or by campaign and recipient; a bounce, a complaint or an unsubscribe may name an
address alone. What is wrong with one item is answered at its position and stops no other.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self
from uuid import UUID  # noqa: TC003 - pydantic reads it

from pydantic import Field, StringConstraints, field_validator, model_validator

from engine.answers.reading import read_event
from engine.audience.attributes import external_key, read_entity
from engine.channels import registry
from engine.content.links import read_message_id
from engine.filters.schema_names import check_schema
from engine.kernel.inputs import Input, Invalid, read
from engine.kernel.instants import WrittenInstant  # noqa: TC001 - pydantic reads it
from engine.kernel.money import check_currency, minor
from engine.kernel.suggestions import did_you_mean

if TYPE_CHECKING:
    from engine.answers.classify import Classifier
    from engine.answers.verdict import Verdict
    from engine.audience.attributes import Given
    from engine.engagement.feedback import FeedbackKind

__all__ = ["SKEW", "TYPES", "Conversion", "EntityChanged", "MessageReport", "Reported", "read_reported"]

#: How far a reporter's clock may be from ours.
SKEW = timedelta(minutes=5)
_MOST_MONEY = Decimal(10) ** 12

EventId = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Text = Annotated[str, StringConstraints(max_length=1000)]


class Reported(Input):
    """What every item has."""

    id: EventId
    """The reporter's own: the same id is taken once."""
    type: str
    at: WrittenInstant | None = None
    """When it happened; absent: now."""

    def happened(self, now: datetime) -> datetime:
        """The instant.

        Raises:
            Invalid: it has not come yet.
        """
        if self.at is not None and self.at > now + SKEW:
            raise Invalid("at", "is in the future")
        return min(now, self.at.astimezone(UTC)) if self.at is not None else now


class MessageReport(Reported):
    """What became of a message."""

    message_id: str | None = Field(default=None, max_length=998)
    """Its Message-ID, as it was sent."""
    campaign_id: UUID | None = None
    recipient_id: UUID | None = None
    """The recipient's entity."""
    touchpoint_id: UUID | None = None
    """Which message of the campaign; absent: the latest before."""
    channel: str | None = Field(default=None, max_length=32)
    """The kind of channel; absent: that of the message."""
    address: str | None = Field(default=None, min_length=1, max_length=320)
    url: str | None = Field(default=None, max_length=2000)
    bounce_type: Literal["permanent", "transient"] = "permanent"
    bounce_subtype: str | None = Field(default=None, max_length=64)
    """In the provider's words, or an enhanced status code (RFC 3463)."""
    complaint_type: str | None = Field(default=None, max_length=64)
    reason: Text | None = None
    bot: bool = False
    """The provider says that no person did it."""

    @field_validator("channel")
    @classmethod
    def _known(cls, kind: str | None) -> str | None:
        if kind is not None and kind not in (known := registry.kinds()):
            raise ValueError(f"{kind!r} is none of {', '.join(known)}{did_you_mean(kind, known)}")
        return kind

    @field_validator("message_id")
    @classmethod
    def _ours(cls, message_id: str | None) -> str | None:
        if message_id is not None and read_message_id(message_id) is None:
            raise ValueError("is no Message-ID of ours")
        return message_id

    @model_validator(mode="after")
    def _about_somebody(self) -> Self:
        whole = self.campaign_id is not None and self.recipient_id is not None
        if self.message_id is None and not whole:
            if self.campaign_id is not None or self.recipient_id is not None:
                raise ValueError("campaign_id: goes with recipient_id, and that with it")
            if self.kind not in ("bounced", "complained", "unsubscribed"):
                raise ValueError("message_id: is required, or campaign_id and recipient_id")
            if self.address is None or self.channel is None:
                raise ValueError(
                    "message_id: is required, or campaign_id and recipient_id, or address and channel"
                )
        return self

    @property
    def kind(self) -> FeedbackKind:
        """The word of the engagement log's writer."""
        return _KINDS[self.type]

    @property
    def pair(self) -> tuple[UUID, UUID] | None:
        """The recipient's key, if it is named."""
        if self.message_id is not None:
            return read_message_id(self.message_id)
        if self.campaign_id is None or self.recipient_id is None:
            return None
        return self.campaign_id, self.recipient_id

    def verdict(self, classifier: Classifier) -> Verdict | None:
        """Of a bounce: what it is about; None: it is none."""
        if self.kind != "bounced":
            return None
        permanent = self.bounce_type == "permanent"
        return classifier.classify(read_event(self.bounce_subtype, self.reason, permanent=permanent))


class Conversion(Reported):
    """What a recipient did that the campaign was for."""

    campaign_id: UUID | None = None
    """Absent: the campaign of the latest message before it, within that campaign's window."""
    entity_id: UUID | None = None
    entity_schema: str | None = None
    external_id: str | int | None = None
    """With `entity_schema`, in place of `entity_id`."""
    name: Annotated[str, StringConstraints(max_length=64)] | None = None
    """What it is called: `order`, `signed`."""
    revenue: Decimal | None = Field(default=None, ge=0, le=_MOST_MONEY)
    currency: str | None = None
    """Of ISO 4217; absent: the organization's own."""

    @field_validator("currency")
    @classmethod
    def _code(cls, currency: str | None) -> str | None:
        return None if currency is None else check_currency(currency)

    @field_validator("external_id")
    @classmethod
    def _key(cls, value: str | int | None) -> str | None:
        return external_key(value)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.entity_id is None and (self.entity_schema is None or self.external_id is None):
            raise ValueError("entity_id: is required, or entity_schema and external_id")
        if self.currency is not None and self.revenue is None:
            raise ValueError("currency: goes with revenue")
        if self.revenue is not None:
            try:
                minor(self.revenue, self.currency or "")
            except ValueError as error:
                raise ValueError(f"revenue: {error}") from None
        return self

    @property
    def units(self) -> int | None:
        """The revenue in the currency's smallest unit."""
        return None if self.revenue is None else minor(self.revenue, self.currency or "")


class EntityChanged(Reported):
    """An entity as it is now, or what of it is different; what is not named stays."""

    entity_schema: str
    entity: dict[str, Any]
    """`{_id?, external_id?, title?, …attributes}`, one of the first two."""

    @model_validator(mode="after")
    def _readable(self) -> Self:
        check_schema(self.entity_schema)
        if self.given.id is None and self.given.external_id is None:
            raise ValueError("entity: needs _id or external_id")
        return self

    @cached_property
    def given(self) -> Given:
        """What it says."""
        return read_entity(self.entity)


_KINDS: dict[str, FeedbackKind] = {
    "message.delivered": "delivered",
    "message.delayed": "delayed",
    "message.read": "opened",
    "message.clicked": "clicked",
    "message.bounced": "bounced",
    "message.complained": "complained",
    "message.unsubscribed": "unsubscribed",
    "message.replied": "replied",
}
#: Every type, and what an item of it says.
TYPES: dict[str, type[Reported]] = {
    **dict.fromkeys(_KINDS, MessageReport),
    "conversion": Conversion,
    "entity.changed": EntityChanged,
}


def read_reported(item: Any) -> Reported:
    """One item.

    Raises:
        Invalid: names the field.
    """
    if not isinstance(item, dict):
        raise Invalid("event", "must be an object")
    wanted = item.get("type")
    if not isinstance(wanted, str) or wanted not in TYPES:
        if wanted is None:
            raise Invalid("type", f"is required: one of {', '.join(TYPES)}")
        raise Invalid(
            "type", f"{str(wanted)[:64]!r} is none of {', '.join(TYPES)}{did_you_mean(str(wanted), TYPES)}"
        )
    try:
        return read(TYPES[wanted], item)
    except Invalid as error:
        field, colon, message = error.message.partition(": ")
        if error.field != "body" or not colon:
            raise
        raise Invalid(field, message) from None  # of several fields together: the message names the one
