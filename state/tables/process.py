"""Processes that run, as they say themselves, and what the sweeper's chores did last."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from state.tables.base import Base, Identified

__all__ = ["ChoreRun", "Process", "ProcessKind"]


class ProcessKind(StrEnum):
    """What a process does; one that does several things has a row for each."""

    API = "api"
    WORKER = "worker"
    SCHEDULER = "scheduler"


class Process(Identified, Base):
    """A running part of Muster and when it was last seen. It serves every organization, so it belongs to none."""

    __tablename__ = "process"
    __table_args__ = (Index(None, "kind", "seen_at"),)

    kind: Mapped[str] = mapped_column(String(12))
    host: Mapped[str] = mapped_column(String(255))
    pid: Mapped[int]
    version: Mapped[str] = mapped_column(String(32), server_default=text("''"))
    """Of Muster; empty: not known."""
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    """Its last heartbeat (engine.kernel.heartbeat)."""


class ChoreRun(Base):
    """What a chore of the sweeper did when it was last done (engine.kernel.chores). It belongs to no organization."""

    __tablename__ = "chore_run"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    done_at: Mapped[datetime]
    succeeded_at: Mapped[datetime | None]
    """None: it never did."""
    seconds: Mapped[float]
    """How long it took."""
    failures: Mapped[int]
    """In a row, up to now."""
    error: Mapped[str] = mapped_column(String(100))
    """The kind of error that it failed with; empty: it succeeded."""
