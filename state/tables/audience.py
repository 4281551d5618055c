"""People (or contracts, or whatever a schema names), saved audiences, and addresses that must not be used."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from state.tables.base import Base, Identified, JsonObject, OrgId, Owned, Timestamped
from state.types import NIL_UUID

__all__ = ["Entity", "FormerEntity", "Suppression", "Target"]


class Entity(Identified, Owned, Timestamped, Base):
    """Somebody or something a campaign may be about."""

    __tablename__ = "entity"
    __table_args__ = (
        UniqueConstraint("org_id", "schema", "external_id"),
        # The planner, matching and listings walk one schema by id, a page at a time.
        Index(None, "org_id", "schema", "id", unique=True),
    )

    schema: Mapped[str] = mapped_column(String(64))
    external_id: Mapped[str | None] = mapped_column(String(255))
    """The key in the system the entity came from; NULLs do not collide."""
    title: Mapped[str] = mapped_column(Text, default="")
    attributes: Mapped[JsonObject] = mapped_column(default=dict)


class FormerEntity(Base):
    """Who an entity was that was deleted while campaigns had it as a recipient: created again with the same external
    id, it has the same id (engine.audience.former).
    """

    __tablename__ = "former_entity"

    org_id: Mapped[OrgId] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(String(32), primary_key=True)
    """Of schema and external id, which are not kept."""
    entity_id: Mapped[UUID]
    deleted_at: Mapped[datetime]


class Target(Identified, Owned, Timestamped, Base):
    """A saved audience: the entities of one schema that a filter tree lets through."""

    __tablename__ = "target"
    __table_args__ = (Index(None, "org_id", "id"),)

    name: Mapped[str] = mapped_column(String(150))
    description: Mapped[str | None] = mapped_column(Text)
    entity_schema: Mapped[str] = mapped_column(String(64))
    entity_filters: Mapped[JsonObject | None]
    """`{"filter": {"items": […], "combination": "AND"|"OR"}}`; absent: the target has no filters."""
    base_id: Mapped[UUID | None]
    """The target that this one narrows: an entity must be let through by both. No foreign key: when the base is gone
    nobody is in it, rather than everybody."""
    campaign_id: Mapped[UUID | None]
    """The campaign whose own it is (filters written into it); goes with it, and no list shows it."""
    extras: Mapped[JsonObject] = mapped_column(default=dict)


class Suppression(Identified, Owned, Base):
    """An address that must not be written to, whichever channel does it."""

    __tablename__ = "suppression"
    # A wave asks for addresses, whatever their media.
    __table_args__ = (UniqueConstraint("org_id", "address", "medium", "campaign_id"),)

    medium: Mapped[str] = mapped_column(String(8))
    """email, phone, chat or other (engine.kernel.media)."""
    address: Mapped[str] = mapped_column(String(320))
    """In the one form of its medium."""
    channel_kind: Mapped[str | None] = mapped_column(String(32))
    """The kind of channel that it was put on the list for; absent: the medium was named."""
    reason: Mapped[str] = mapped_column(String(32))
    """unsubscribe, hard_bounce, complaint or manual."""
    campaign_id: Mapped[UUID] = mapped_column(default=NIL_UUID, server_default=text(f"'{NIL_UUID.hex}'"))
    """The one campaign that must not use it; all zeros: none of the organization may."""
    created_at: Mapped[datetime]
