"""A/B tests: variants tried on a sample of a campaign's audience, and people who are left out on purpose."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from state.tables.base import Base, Identified, JsonObject, Owned, Timestamped, partial_index

__all__ = ["Experiment"]


class Experiment(Identified, Owned, Timestamped, Base):
    """The A/B test of a campaign."""

    __tablename__ = "experiment"
    __table_args__ = (
        UniqueConstraint("campaign_id"),
        # What the sweeper looks at.
        partial_index("ix_experiment_running", "next_look_at", where="status = 'running'"),
    )

    campaign_id: Mapped[UUID] = mapped_column(ForeignKey("campaign.id", ondelete="CASCADE"))
    touchpoint_id: Mapped[UUID]
    """Whose variants are compared (no foreign key: a flow that is edited replaces its touchpoints)."""
    name: Mapped[str] = mapped_column(String(150))
    metric: Mapped[str] = mapped_column(String(16))
    """delivered, read, clicked or converted."""
    sample: Mapped[float]
    """Percent of the audience that the variants are tried on."""
    holdout: Mapped[float] = mapped_column(default=0.0)
    """Percent of the audience that is never sent to, and recorded so."""
    decide_after_seconds: Mapped[int]
    """From the start to the last look."""
    alpha: Mapped[float] = mapped_column(default=0.05)
    """How often a winner may be found among equals."""
    when_inconclusive: Mapped[str] = mapped_column(String(8), default="split")
    """split: the rest gets the variants as before; leader: the one with the best rate."""
    status: Mapped[str] = mapped_column(String(12), default="draft")
    """draft, running, decided or inconclusive."""
    started_at: Mapped[datetime | None]
    next_look_at: Mapped[datetime | None]
    decided_at: Mapped[datetime | None]
    looks: Mapped[int] = mapped_column(default=0)
    spent: Mapped[float] = mapped_column(default=0.0)
    """Error rate that the looks have spent."""
    winner: Mapped[str | None] = mapped_column(String(64))
    result: Mapped[JsonObject | None]
    """What the last look saw: `{"leader", "p", "threshold", "arms": [{"variant", "sent", "count"}]}`."""
