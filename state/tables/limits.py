"""What limits remember: which mail domains ask a channel to slow down, and who was written to when."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from state.tables.base import Base, Owned

__all__ = ["ChannelDay", "Contact", "DomainThrottle"]


class DomainThrottle(Owned, Base):
    """A mail domain, or a mailbox provider (`provider:google`), that asked one channel to slow down. The row is
    forgotten after a calm day.
    """

    __tablename__ = "domain_throttle"

    channel_id: Mapped[UUID] = mapped_column(ForeignKey("channel.id", ondelete="CASCADE"), primary_key=True)
    domain: Mapped[str] = mapped_column(String(255), primary_key=True)
    throttled_at: Mapped[datetime]
    throttled_until: Mapped[datetime]
    """Nothing is sent to it before then."""
    rate: Mapped[float]
    """Messages a second from then on; it grows with time by itself."""
    failures: Mapped[int] = mapped_column(default=1, server_default=text("1"))
    """Times that it asked, with no calm day between."""
    reason: Mapped[str] = mapped_column(Text)


class ChannelDay(Base):
    """How many messages a channel that is warmed up was given on one day (of UTC). Without such a limit: no rows."""

    __tablename__ = "channel_day"

    channel_id: Mapped[UUID] = mapped_column(ForeignKey("channel.id", ondelete="CASCADE"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    messages: Mapped[int] = mapped_column(default=0, server_default=text("0"))


class Contact(Base):
    """One message to one entity, as frequency caps count them; written only where a cap applies.

    No foreign keys, as with recipients.
    """

    __tablename__ = "contact"
    __table_args__ = (Index(None, "sent_at"),)

    org_id: Mapped[UUID] = mapped_column(primary_key=True)
    entity_id: Mapped[UUID] = mapped_column(primary_key=True)
    sent_at: Mapped[datetime] = mapped_column(primary_key=True)
    """When it was claimed; the row is taken back when the message is not delivered."""
    campaign_id: Mapped[UUID] = mapped_column(primary_key=True)
    channel_id: Mapped[UUID]
