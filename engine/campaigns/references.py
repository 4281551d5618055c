"""What a campaign refers to by a word of its author's: an id, or a name (docs/contract/campaigns-api.md).

An id of ours that does not exist is a mistake and refused. A name that nothing has yet is kept: a draft may be written
before what it refers to, and executing it asks again, and then refuses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import or_, select

from engine.kernel.inputs import Invalid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

__all__ = ["as_id", "resolved"]


def as_id(word: str) -> UUID | None:
    """The id that a word is; None when it is a name."""
    try:
        return UUID(word)
    except ValueError:
        return None


def resolved(
    session: Session,
    table: Any,
    org_id: UUID,
    words: Sequence[str],
    field: str,
    *where: ColumnElement[bool],
    strict: bool = False,
) -> list[Any | None]:
    """The organization's row for each word, in their order; None for a name that nothing has.

    Args:
        field: A path with `{}` for the index, for errors.
        where: What else the row must be.
        strict: A name that nothing has is refused as well.

    Raises:
        Invalid: there is no row of that id, or several have that name.
    """
    if not words:
        return []
    ids = [found for word in words if (found := as_id(word)) is not None]
    conditions = (table.org_id == org_id, or_(table.id.in_(ids), table.name.in_(words)), *where)
    by_id: dict[UUID, Any] = {}
    by_name: dict[str, list[Any]] = {}
    for row in session.scalars(select(table).where(*conditions).order_by(table.created_at, table.id)):
        by_id[row.id] = row
        by_name.setdefault(row.name, []).append(row)
    kind = table.__tablename__
    rows: list[Any | None] = []
    for index, word in enumerate(words):
        row_id = as_id(word)
        named = by_name.get(word, [])
        if row_id is not None and row_id in by_id:
            rows.append(by_id[row_id])
        elif len(named) == 1:
            rows.append(named[0])
        elif named:
            raise Invalid(field.format(index), f"several {kind}s are called {word!r}; use the id")
        elif row_id is not None or strict:
            raise Invalid(field.format(index), f"{kind} {word[:64]} does not exist")
        else:
            rows.append(None)
    return rows
