"""What an organization writes about, and who does not want to hear of it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from state.tables.base import Base, Identified, OrgId, Owned, Timestamped

__all__ = ["Topic", "TopicOptOut"]


class Topic(Identified, Owned, Timestamped, Base):
    """A kind of messages that people may opt out of: a newsletter, offers. A campaign may be about one."""

    __tablename__ = "topic"
    __table_args__ = (UniqueConstraint("org_id", "name"),)

    name: Mapped[str] = mapped_column(String(150))
    description: Mapped[str | None] = mapped_column(Text)


class TopicOptOut(Base):
    """An address whose holder does not want a topic. Campaigns about it do not write there; others do."""

    __tablename__ = "topic_opt_out"

    org_id: Mapped[OrgId] = mapped_column(primary_key=True)
    topic_id: Mapped[UUID] = mapped_column(ForeignKey("topic.id", ondelete="CASCADE"), primary_key=True)
    address: Mapped[str] = mapped_column(String(320), primary_key=True)
    """In the one form of its medium."""
    medium: Mapped[str] = mapped_column(String(8), primary_key=True)
    created_at: Mapped[datetime]
