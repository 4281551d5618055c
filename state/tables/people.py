"""What is kept so that people stay forgotten."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from state.tables.base import Base, Identified, JsonObject, Owned, partial_index

__all__ = ["Erasure", "SealedKey"]


class SealedKey(Base):
    """A random key of the installation's own, encrypted under `MUSTER_SECRET_KEY`: what it makes outlives a change of
    that key, and whether it opens says whether a process was given the right one.
    """

    __tablename__ = "sealed_key"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]


class Erasure(Identified, Owned, Base):
    """A person who was erased: how far that is, and the proof that it was done. Nothing in it says who it was."""

    __tablename__ = "erasure"
    __table_args__ = (
        UniqueConstraint("org_id", "entity_id"),
        partial_index("ix_erasure_open", "due_at", where="state <> 'done'"),
    )

    entity_id: Mapped[UUID]
    """Of nobody any more."""
    schema: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(8))
    """running; erased (looked through once); done (looked through again, after what was under way then)."""
    asked_at: Mapped[datetime]
    asked_by: Mapped[str] = mapped_column(String(255))
    """As the audit log names its author."""
    due_at: Mapped[datetime]
    """When the next slice may be done."""
    erased_at: Mapped[datetime | None]
    checkpoint: Mapped[JsonObject | None]
    """Where the look stands: `{"part", "after"}`; absent: at its beginning."""
    person: Mapped[bytes | None] = mapped_column(LargeBinary)
    """What is looked for, encrypted; absent: done."""
    counts: Mapped[JsonObject] = mapped_column(default=dict)
    """How many rows and messages were changed, by where they stood."""
