"""Who owns what, and by which key they come in."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, LargeBinary, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from state.tables.base import Base, Identified, JsonObject, Owned

__all__ = ["ApiKey", "IdempotencyKey", "Organization"]


class Organization(Identified, Base):
    """One tenant."""

    __tablename__ = "organization"

    name: Mapped[str] = mapped_column(String(150), unique=True)
    time_zone: Mapped[str | None] = mapped_column(String(64))
    """Of recipients whose own is not known (IANA); absent: UTC."""
    region: Mapped[str | None] = mapped_column(String(2))
    """The country (ISO 3166-1) of phone numbers without a country code; absent: such numbers are none."""
    created_at: Mapped[datetime]
    limits: Mapped[JsonObject | None]
    """A rate, a frequency cap, send windows, quiet hours and a time zone (engine.limits.config); absent: none."""
    limits_epoch: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    """Counts changes of any limit in the organization, so that workers see that there is a new one."""
    limits_changed_at: Mapped[datetime | None]
    """When somebody last changed one: recipients that were put back for a limit before are looked at again. Absent:
    never."""


class ApiKey(Identified, Owned, Base):
    """A key of one organization. Only its SHA-256 is kept: the key itself is random and shown once."""

    __tablename__ = "api_key"

    name: Mapped[str] = mapped_column(String(150))
    role: Mapped[str] = mapped_column(String(16))
    """viewer, operator or admin."""
    prefix: Mapped[str] = mapped_column(String(16))
    """The first characters, so that a person can tell keys apart."""
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    """From when on it opens nothing; absent: it is good until it is revoked."""
    networks: Mapped[list[Any] | None]
    """The networks that it may be used from; absent: anywhere."""


class IdempotencyKey(Identified, Owned, Base):
    """The reserved or stored answer of one mutating request (docs/contract/own-routes.md)."""

    __tablename__ = "idempotency_key"
    __table_args__ = (
        UniqueConstraint("org_id", "key"),
        Index(None, "created_at"),
    )

    key: Mapped[str] = mapped_column(String(255))
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary(32))
    """SHA-256 of method, path, query and body: the same key for another request is a conflict."""
    status: Mapped[int | None]
    """HTTP status of the stored answer; absent while the first request still runs."""
    answer: Mapped[bytes | None] = mapped_column(LargeBinary)
    headers: Mapped[JsonObject | None]
    created_at: Mapped[datetime]
