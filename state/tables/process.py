"""Processes that run, as they say themselves."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from state.tables.base import Base, Identified

__all__ = ["Process", "ProcessKind"]


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
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    """Its last heartbeat (engine.heartbeat)."""
