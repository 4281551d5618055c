"""Runs of a campaign that are not delivery: starts that wait for their time, and dry runs."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from state.tables.base import Base, Identified, JsonObject, Owned, Timestamped, partial_index

__all__ = ["DryRun", "ScheduledRun"]


class ScheduledRun(Identified, Owned, Timestamped, Base):
    """A start that waits for its time. Its id becomes its job's, so that its scheduler finds the run by it."""

    __tablename__ = "scheduled_run"
    __table_args__ = (
        Index(None, "org_id", "campaign_id", "created_at"),
        # What the schedulers look at: never what has been started.
        partial_index("ix_scheduled_run_waiting", "due_at", "id", where="status = 'waiting'"),
    )

    campaign_id: Mapped[UUID] = mapped_column(ForeignKey("campaign.id", ondelete="CASCADE"))
    status: Mapped[str] = mapped_column(String(12), default="waiting")
    """waiting, started, skipped (it was missed), failed (the campaign could not be started) or cancelled."""
    due_at: Mapped[datetime]
    asked_at: Mapped[datetime | None]
    """The time that was asked for; absent: the campaign's start, whenever that is."""
    reach: Mapped[float] = mapped_column(default=100.0)
    priority: Mapped[str] = mapped_column(String(8), default="normal")
    reason: Mapped[str | None] = mapped_column(Text)
    """Why it was skipped, failed or cancelled."""
    ended_at: Mapped[datetime | None]
    """When it stopped waiting."""


class DryRun(Identified, Owned, Timestamped, Base):
    """An execution in test mode: everything is checked and rendered, nothing is sent, no recipient is made."""

    __tablename__ = "dry_run"
    __table_args__ = (
        Index(None, "org_id", "campaign_id", "created_at"),
        partial_index("ix_dry_run_open", "touched_at", where="status IN ('queued', 'running')"),
    )

    campaign_id: Mapped[UUID] = mapped_column(ForeignKey("campaign.id", ondelete="CASCADE"))
    status: Mapped[str] = mapped_column(String(12), default="queued")
    """queued, running, completed, failed (it could not be carried out) or cancelled."""
    reach: Mapped[float] = mapped_column(default=100.0)
    checkpoint: Mapped[JsonObject | None]
    """Where it stands: `{"target": index, "after": entity id}`."""
    total: Mapped[int] = mapped_column(default=0)
    """Recipients that were looked at."""
    successful: Mapped[int] = mapped_column(default=0)
    """Of them, those that would have been sent to."""
    findings: Mapped[JsonObject] = mapped_column(default=dict)
    """Error code to `{"count", "message", "recipients": [a few entity ids]}`."""
    error: Mapped[str | None] = mapped_column(Text)
    touched_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
