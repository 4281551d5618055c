"""Which schemas of entities an organization has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from state.tables import Entity

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session

__all__ = ["MOST_SCHEMAS", "schemas_of"]

#: Schemas that are looked for.
MOST_SCHEMAS = 100


def schemas_of(session: Session, org_id: UUID) -> list[str]:
    """The names, in order, at most `MOST_SCHEMAS`. One statement that skips from each name to the next by the index
    (org_id, schema, external_id), however many entities there are.
    """
    first = select(func.min(Entity.schema).label("schema")).where(Entity.org_id == org_id)
    names = first.cte("names", recursive=True)
    after = (
        select(func.min(Entity.schema))
        .where(Entity.org_id == org_id, Entity.schema > names.c.schema)
        .scalar_subquery()
    )
    names = names.union_all(select(after).where(names.c.schema.is_not(None)))
    found = session.scalars(select(names.c.schema).where(names.c.schema.is_not(None)).limit(MOST_SCHEMAS))
    return sorted(found)
