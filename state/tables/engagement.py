"""What recipients did with what they were sent or shown: an append-only log, and its sums by hour.

The sums are written in the transaction of the rows they sum, so that statistics read them and never the log.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from state.tables.base import Base, JsonObject, Owned

__all__ = ["Engagement", "EngagementHour"]


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
    """email, portal or entity_ui."""
    kind: Mapped[str] = mapped_column(String(16))
    """delivered, read, clicked, bounced … (engine.insight.engagement)."""
    happened_at: Mapped[datetime]
    event_id: Mapped[str | None] = mapped_column(String(255))
    """The reporter's own id: the same event is taken once. NULLs do not collide."""
    data: Mapped[JsonObject | None]
    created_at: Mapped[datetime]


class EngagementHour(Owned, Base):
    """How often something happened in a campaign within one hour."""

    __tablename__ = "engagement_hour"

    campaign_id: Mapped[UUID] = mapped_column(ForeignKey("campaign.id", ondelete="CASCADE"), primary_key=True)
    channel: Mapped[str] = mapped_column(String(16), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    """Its beginning."""
    events: Mapped[int] = mapped_column(default=0)
    recipients: Mapped[int] = mapped_column(default=0)
    """For how many recipients it was the first time: the sum over all hours counts each recipient once."""
