"""What set-up creates beside a campaign, and what `portals` reads."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from state.tables.base import Base, Identified, JsonObject, Owned, Timestamped

__all__ = ["JourneyLink", "Portal", "ProductRecommendation", "Widget"]


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


class ProductRecommendation(Identified, Owned, Timestamped, Base):
    """What a campaign offers: blocks of product and price pairs. Products and prices are kept elsewhere."""

    __tablename__ = "product_recommendation"
    __table_args__ = (Index(None, "org_id", "campaign_id"),)

    campaign_id: Mapped[UUID] = mapped_column(ForeignKey("campaign.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(Text)
    source_product_id: Mapped[UUID | None]
    source_price_id: Mapped[UUID | None]
    offers: Mapped[list[Any]] = mapped_column(default=list)
    """`[{"target_id"?, "items": [{"product_id", "price_id", "highlight_config"?}]}]`"""


class JourneyLink(Identified, Owned, Timestamped, Base):
    """Which journey a campaign leads into. Journeys are kept elsewhere; several campaigns may lead into one."""

    __tablename__ = "journey_link"
    __table_args__ = (UniqueConstraint("campaign_id", "journey_id"),)

    campaign_id: Mapped[UUID] = mapped_column(ForeignKey("campaign.id", ondelete="CASCADE"))
    journey_id: Mapped[UUID]
