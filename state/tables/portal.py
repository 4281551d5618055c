"""What set-up creates beside a campaign, and what `portals` reads."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from state.tables.base import Base, Identified, JsonObject, Owned, Timestamped

__all__ = ["Portal", "Widget"]


class Portal(Identified, Owned, Timestamped, Base):
    """A customer portal."""

    __tablename__ = "portal"
    __table_args__ = (Index(None, "org_id", "id"),)

    name: Mapped[str] = mapped_column(String(150))
    origin: Mapped[str | None] = mapped_column(String(64))
    domain: Mapped[str | None] = mapped_column(String(255))


class Widget(Identified, Owned, Timestamped, Base):
    """A block of a portal that shows a campaign."""

    __tablename__ = "widget"
    __table_args__ = (Index(None, "org_id", "campaign_id"),)

    portal_id: Mapped[UUID] = mapped_column(ForeignKey("portal.id", ondelete="CASCADE"))
    campaign_id: Mapped[UUID | None] = mapped_column(ForeignKey("campaign.id", ondelete="CASCADE"))
    type: Mapped[str] = mapped_column(String(64))
    headline: Mapped[JsonObject | None]
    extras: Mapped[JsonObject] = mapped_column(default=dict)
