"""What happened, who wants to be told, and what became of telling them.

An event is written in the transaction in which it happened and is given its place in the stream afterwards, by one
distributor at a time (engine.events.distribute): ids are drawn before a commit, and two transactions may commit in
another order, so a reader that remembered an id would miss the later one. What was placed stays in that order.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from state.tables.base import Base, Identified, JsonObject, Owned, Timestamped, partial_index

__all__ = ["Event", "Webhook", "WebhookDelivery", "WebhookLane"]

_BIG = BigInteger().with_variant(Integer, "sqlite")


class Event(Owned, Base):
    """The outbox: what happened, written in the transaction in which it happened."""

    __tablename__ = "event"
    __table_args__ = (
        # The live stream of one organization, and what a listener missed.
        Index(None, "org_id", "position"),
        # What is still to be distributed: as many rows as were written within a moment.
        partial_index("ix_event_undistributed", "id", where="position IS NULL"),
    )

    id: Mapped[int] = mapped_column(_BIG, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(String(64))
    """A stable id: `campaign.started`, `job.finished`."""
    campaign_id: Mapped[UUID | None]
    job_id: Mapped[UUID | None]
    data: Mapped[JsonObject] = mapped_column(default=dict)
    created_at: Mapped[datetime]
    position: Mapped[int | None] = mapped_column(_BIG, unique=True)
    """Its place in the stream of all events, 1, 2, …; absent: not distributed yet."""


class Webhook(Identified, Owned, Timestamped, Base):
    """An address that is told of events."""

    __tablename__ = "webhook"
    __table_args__ = (
        Index(None, "org_id", "id"),
        # Asked once a lease: does anybody want to hear of single recipients?
        partial_index("ix_webhook_recipients", "org_id", where="active AND recipients"),
    )

    url: Mapped[str] = mapped_column(Text)
    description: Mapped[str | None] = mapped_column(Text)
    events: Mapped[list[Any]] = mapped_column(default=list)
    """Names, or groups: `campaign.started`, `recipient.*`, `*`."""
    recipients: Mapped[bool] = mapped_column(default=False)
    """Whether any event about single recipients is among them."""
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    """Encrypted; written, never read back by any API."""
    previous_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    """The one before, which signs as well until `previous_secret_until`."""
    previous_secret_until: Mapped[datetime | None]
    active: Mapped[bool] = mapped_column(default=True)
    """Off: told of nothing; what waits for it waits on."""
    disabled_reason: Mapped[str | None] = mapped_column(Text)
    """Why it was switched off by Muster itself; absent: by a person, or not at all."""
    failing_since: Mapped[datetime | None]
    """Since when every attempt has failed; absent: the last one succeeded."""


class WebhookLane(Owned, Base):
    """What one webhook is told of one campaign: the unit of order and of claiming.

    Deliveries of a lane go out one after another; one that fails holds up its own lane alone.
    """

    __tablename__ = "webhook_lane"
    __table_args__ = (partial_index("ix_webhook_lane_due", "due_at", where="due_at IS NOT NULL"),)

    webhook_id: Mapped[UUID] = mapped_column(ForeignKey("webhook.id", ondelete="CASCADE"), primary_key=True)
    campaign_id: Mapped[UUID] = mapped_column(primary_key=True)
    """All zeros: events that are about no campaign."""
    due_at: Mapped[datetime | None]
    """When its first delivery may be tried; absent: it has none."""
    lease_epoch: Mapped[int] = mapped_column(default=0)
    lease_expires_at: Mapped[datetime | None]
    """Until when one worker has it."""


class WebhookDelivery(Owned, Base):
    """One event for one webhook, and what became of it."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        # The log of a webhook, newest first, and by state.
        Index(None, "webhook_id", "id"),
        Index(None, "webhook_id", "state", "id"),
        # The head of a lane.
        partial_index(
            "ix_webhook_delivery_waiting", "webhook_id", "campaign_id", "id", where="state = 'pending'"
        ),
    )

    id: Mapped[int] = mapped_column(_BIG, primary_key=True, autoincrement=True)
    """Their order within a lane."""
    webhook_id: Mapped[UUID] = mapped_column(ForeignKey("webhook.id", ondelete="CASCADE"))
    campaign_id: Mapped[UUID]
    """Of its lane."""
    event_id: Mapped[int] = mapped_column(_BIG)
    """No foreign key: events are forgotten in bulk, and never before their deliveries."""
    event: Mapped[str] = mapped_column(String(64))
    """The event's name."""
    state: Mapped[str] = mapped_column(String(12), default="pending")
    """pending, delivered, or dead: given up after two days."""
    attempts: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime | None]
    """When it may be tried again; absent: as soon as it is the first of its lane."""
    status: Mapped[int | None]
    """HTTP status of the last answer; absent: there was none."""
    error: Mapped[str | None] = mapped_column(Text)
    """What went wrong last."""
    milliseconds: Mapped[int | None]
    """How long the last attempt took."""
    redelivery_of: Mapped[int | None] = mapped_column(_BIG)
    """The delivery that a person asked to repeat."""
    created_at: Mapped[datetime]
    attempted_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
