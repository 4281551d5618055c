"""Who changed what: an append-only log."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from state.tables.base import Base, Owned

__all__ = ["AuditRecord"]


class AuditRecord(Owned, Base):
    """One transaction of one author: what it changed, or what was taken out. Written once, never changed, but
    that an erased person is taken out; retention alone removes it.
    """

    __tablename__ = "audit_record"
    __table_args__ = (
        # An organization's log, newest first.
        Index(None, "org_id", "id"),
        # What retention removes.
        Index(None, "at"),
    )

    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    at: Mapped[datetime]
    operation: Mapped[str] = mapped_column(String(128))
    """The API operation's id (`updateChannel`), or the command (`muster channel add`)."""
    author: Mapped[str] = mapped_column(String(255))
    """`key:` and the key's id, `jwt:` and the token's subject, or `cli:` and the user of the machine."""
    role: Mapped[str] = mapped_column(String(16))
    """viewer, operator or admin."""
    address: Mapped[str | None] = mapped_column(String(64))
    """The client's network address; absent: on the machine itself."""
    request_id: Mapped[str | None] = mapped_column(String(128))
    changes: Mapped[list[Any]] = mapped_column(default=list)
    """`[{"kind": "channel", "id": …, "action": "create" | "update" | "delete" | "export" | …, "before": {…},
    "after": {…}}]`, without secrets and without what is known of people."""
