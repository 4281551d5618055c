"""Who is signed in to the console."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from state.tables.base import Base, Identified, Owned

__all__ = ["BrowserSession", "SignInCode"]


class BrowserSession(Identified, Owned, Base):
    """A browser that somebody signed in with. Only the SHA-256 of what its cookie holds is kept."""

    __tablename__ = "browser_session"
    __table_args__ = (Index(None, "org_id", "created_at"), Index(None, "expires_at"))

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    key_id: Mapped[UUID | None] = mapped_column(ForeignKey("api_key.id", ondelete="CASCADE"))
    """The API key that was signed in with: its role counts, and what revokes it ends the session. Absent: signed in by
    an identity provider, and `role` counts."""
    subject: Mapped[str] = mapped_column(String(255))
    """Of the principal (engine.kernel.principal)."""
    name: Mapped[str] = mapped_column(String(255))
    role: Mapped[str] = mapped_column(String(16))
    """viewer, operator or admin, when it began."""
    address: Mapped[str | None] = mapped_column(String(64))
    """The IP address that it began from."""
    agent: Mapped[str] = mapped_column(String(200), default="")
    """What the browser calls itself."""
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    """Its last request, to the minute."""
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    """When somebody signed out, or it was ended."""


class SignInCode(Identified, Owned, Base):
    """A link that signs in once."""

    __tablename__ = "sign_in_code"
    __table_args__ = (Index(None, "expires_at"),)

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    key_id: Mapped[UUID] = mapped_column(ForeignKey("api_key.id", ondelete="CASCADE"))
    """Whose session it opens."""
    expires_at: Mapped[datetime]
