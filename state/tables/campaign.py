"""Campaigns, and what they are made of: a flow of touchpoints, templates and channels."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from state.tables.base import Base, Identified, JsonObject, Owned, Timestamped

__all__ = ["Campaign", "Channel", "Flow", "Template", "Touchpoint"]


class Channel(Identified, Owned, Timestamped, Base):
    """A configured sender: its kind, its settings, its credentials, and how it is doing."""

    __tablename__ = "channel"
    __table_args__ = (Index(None, "org_id", "id"),)

    name: Mapped[str] = mapped_column(String(150))
    kind: Mapped[str] = mapped_column(String(32))
    settings: Mapped[JsonObject] = mapped_column(default=dict)
    """What the kind's settings model accepts: host, port, concurrency …"""
    credentials: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Encrypted JSON; written, never read back by any API."""
    is_default: Mapped[bool] = mapped_column(default=False)
    doubt_policy: Mapped[str] = mapped_column(String(8))
    """resend or hold: what becomes of a recipient whose outcome a crash left unknown."""
    max_attempts: Mapped[int] = mapped_column(default=5)
    retry_base_seconds: Mapped[float] = mapped_column(default=30.0)
    blocked_until: Mapped[datetime | None]
    """Throttled, or its provider is down: no claims before then."""
    blocked_reason: Mapped[str | None] = mapped_column(Text)
    consecutive_failures: Mapped[int] = mapped_column(default=0)
    """Times in a row that the provider was down; the breaker's back-off grows with it."""


class Template(Identified, Owned, Timestamped, Base):
    """A message with holes: Liquid over the entity's attributes."""

    __tablename__ = "template"
    __table_args__ = (Index(None, "org_id", "id"),)

    name: Mapped[str] = mapped_column(String(150))
    subject: Mapped[str] = mapped_column(Text, default="")
    html: Mapped[str | None] = mapped_column(Text)
    text: Mapped[str | None] = mapped_column(Text)
    sender: Mapped[JsonObject] = mapped_column(default=dict)
    """`{"email", "name"}` of the From header; absent: the channel's."""
    defaults: Mapped[JsonObject] = mapped_column(default=dict)
    """Values for variables that an entity lacks."""
    extras: Mapped[JsonObject] = mapped_column(default=dict)


class Flow(Identified, Owned, Timestamped, Base):
    """An automation flow: ordered touchpoints that a campaign runs each recipient through."""

    __tablename__ = "flow"
    __table_args__ = (Index(None, "org_id", "id"),)

    name: Mapped[str] = mapped_column(String(150))


class Touchpoint(Identified, Owned, Timestamped, Base):
    """One step of a flow."""

    __tablename__ = "touchpoint"
    __table_args__ = (Index(None, "org_id", "flow_id", "position"),)

    flow_id: Mapped[UUID] = mapped_column(ForeignKey("flow.id", ondelete="CASCADE"))
    position: Mapped[int]
    type: Mapped[str] = mapped_column(String(32), default="message")
    name: Mapped[str] = mapped_column(String(150), default="")
    channel_id: Mapped[UUID | None] = mapped_column(ForeignKey("channel.id"))
    """Absent: the organization's default channel."""
    template_id: Mapped[UUID | None] = mapped_column(ForeignKey("template.id"))
    extras: Mapped[JsonObject] = mapped_column(default=dict)


class Campaign(Identified, Owned, Timestamped, Base):
    """What is to be said, to whom, by which flow, and how far that is."""

    __tablename__ = "campaign"
    __table_args__ = (
        Index(None, "org_id", "created_at", "id"),
        Index(None, "status", "end_date"),
    )

    name: Mapped[str] = mapped_column(String(150))
    description: Mapped[str | None] = mapped_column(Text)
    goal: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(16), default="draft")
    ends: Mapped[str] = mapped_column(String(16), default="when_delivered")
    """when_delivered: completes with its job; when_told: stays active until deactivated or past `end_date`."""
    start_date: Mapped[date | None]
    end_date: Mapped[date | None]
    target_ids: Mapped[list[Any]] = mapped_column(default=list)
    """Ids of targets, as strings. An entity that several let through is one recipient."""
    flow_id: Mapped[UUID | None] = mapped_column(ForeignKey("flow.id"))
    job_id: Mapped[UUID | None]
    """The latest activation's job (no foreign key: job points here)."""
    activated_at: Mapped[datetime | None]
    next_best_action: Mapped[JsonObject | None]
    """What agents see beside an entity of the audience (engine.campaigns.next_best_actions)."""
    extras: Mapped[JsonObject] = mapped_column(default=dict)
