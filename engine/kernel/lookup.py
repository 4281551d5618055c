"""Rows of one organization by their name, or by an id or the beginning of one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from sqlalchemy import false, select

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

__all__ = ["names", "rows_by_id", "rows_by_name"]

Row = TypeVar("Row")

#: Of an id, without hyphens: enough digits that it is no word.
_BEGINNING = re.compile("[0-9a-f]{4,32}")


def rows_by_name(session: Session, table: type[Row], org_id: UUID, name: str, *, limit: int) -> Sequence[Row]:
    """The rows of exactly that name, newest first."""
    named: Any = table
    statement = select(table).where(named.org_id == org_id, named.name == name)
    return session.scalars(statement.order_by(named.created_at.desc()).limit(limit)).all()


def rows_by_id(
    session: Session, table: type[Row], org_id: UUID, beginning: str, *, limit: int
) -> Sequence[Row]:
    """The rows whose ids begin with these digits, at least four of them, by id: a range of the primary key."""
    digits = beginning.replace("-", "").lower()
    keyed: Any = table
    within = false()
    if _BEGINNING.fullmatch(digits):
        within = keyed.id.between(UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f")))
    statement = select(table).where(keyed.org_id == org_id, within).order_by(keyed.id)
    return session.scalars(statement.limit(limit)).all()


def names(session: Session, table: type[Any], org_id: UUID, *, limit: int = 1000) -> Sequence[str]:
    """Names that there are, for suggestions."""
    return session.scalars(select(table.name).where(table.org_id == org_id).limit(limit)).all()
