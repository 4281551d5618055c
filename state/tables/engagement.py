"""What recipients did with what they were sent or shown: an append-only log, and its sums by hour.

The sums are written in the transaction of the rows they sum, so that statistics read them and never the log.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from state.tables.base import Base, JsonObject, Owned

__all__ = ["Engagement", "EngagementHour", "TakenEvent"]


class Engagement(Owned, Base):
    """One thing that one recipient did, or that happened to its message. Written once, never changed."""

    __tablename__ = "engagement"
    __table_args__ = (
        # One recipient's story, and whether something is the first of its kind there.
        Index(None, "campaign_id", "entity_id", "channel", "kind"),
        UniqueConstraint("org_id", "event_id"),
    )

    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    campaign_id: Mapped[UUID] = mapped_column(ForeignKey("campaign.id", ondelete="CASCADE"))
    entity_id: Mapped[UUID]
    channel: Mapped[str] = mapped_column(String(16))
    """email, portal, entity_ui, or another kind of channel."""
    kind: Mapped[str] = mapped_column(String(16))
    """delivered, read, clicked, bounced … (engine.engagement.engagement)."""
    happened_at: Mapped[datetime]
    event_id: Mapped[str | None] = mapped_column(String(255))
    """The reporter's own id: the same event is taken once. NULLs do not collide."""
    data: Mapped[JsonObject | None]
    created_at: Mapped[datetime]
    touchpoint_id: Mapped[UUID | None]
    """The message it is about; absent: not known, or about none."""
    variant: Mapped[str | None] = mapped_column(String(64))
    target_id: Mapped[UUID | None]
    """Variant and segment of the recipient by then."""
    bot: Mapped[bool] = mapped_column(default=False)
    """A scanner did it: kept, and counted apart."""
    revenue: Mapped[int | None] = mapped_column(BigInteger)
    """Of a conversion, in the currency's smallest unit."""
    currency: Mapped[str | None] = mapped_column(String(3))


class EngagementHour(Owned, Base):
    """How often something happened in a campaign within one hour, by what it is about."""

    __tablename__ = "engagement_hour"

    campaign_id: Mapped[UUID] = mapped_column(ForeignKey("campaign.id", ondelete="CASCADE"), primary_key=True)
    channel: Mapped[str] = mapped_column(String(16), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    """Its beginning."""
    touchpoint_id: Mapped[UUID] = mapped_column(primary_key=True)
    """All zeros: not known."""
    variant: Mapped[str] = mapped_column(String(64), primary_key=True, default="")
    target_id: Mapped[UUID] = mapped_column(primary_key=True)
    """All zeros: enrolled by no target."""
    currency: Mapped[str] = mapped_column(String(3), primary_key=True, default="")
    """Of `revenue`; empty where there is none, or where it was reported without."""
    events: Mapped[int] = mapped_column(default=0)
    recipients: Mapped[int] = mapped_column(default=0)
    """For how many recipients it was the first time in the campaign: the sum over hours and touchpoints counts each
    recipient once."""
    touchpoint_recipients: Mapped[int] = mapped_column(default=0)
    """For how many it was the first time at this touchpoint: the sum over hours counts each once there."""
    bots: Mapped[int] = mapped_column(default=0)
    """What scanners did; in none of the other counts."""
    revenue: Mapped[int] = mapped_column(BigInteger, default=0)
    """In the currency's smallest unit."""


class TakenEvent(Owned, Base):
    """The id of an event that was reported from outside and taken, so that its repeat is not."""

    __tablename__ = "taken_event"
    __table_args__ = (
        PrimaryKeyConstraint("org_id", "event_id"),
        Index(None, "taken_at"),
    )

    event_id: Mapped[str] = mapped_column(String(255))
    taken_at: Mapped[datetime]
