"""What every table has."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID, uuid4

from sqlalchemy import ForeignKey, Index, MetaData, Uuid, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from state.types import Json, UtcDateTime

__all__ = ["Base", "Identified", "JsonObject", "OrgId", "Owned", "Timestamped", "partial_index"]

JsonObject = dict[str, Any]
OrgId = Annotated[UUID, mapped_column(ForeignKey("organization.id", ondelete="CASCADE"))]


class Base(DeclarativeBase):
    """Declarative base; constraint names are fixed so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own class attribute
        UUID: Uuid(),
        datetime: UtcDateTime(),
        JsonObject: Json,
        list[Any]: Json,
    }


class Identified:
    """A row known by a random id."""

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)


class Owned:
    """A row of one organization; every query names it."""

    org_id: Mapped[OrgId]


class Timestamped:
    """When the row came to be and last changed. Code that changes it sets `updated_at` from the clock."""

    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


def partial_index(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """An index on the rows alone of which the condition holds; both databases have these."""
    condition = text(where)
    return Index(name, *columns, unique=unique, postgresql_where=condition, sqlite_where=condition)
