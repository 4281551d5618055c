"""Saved audiences: who is in one, by pages and by number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from engine.audience.filters import parse_filters
from engine.audience.predicate import predicate
from state.tables import Entity

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.orm import Session

    from state.tables import Target

__all__ = ["audience", "audience_page", "count"]


def audience(session: Session, org_id: UUID, target: Target, now: datetime) -> list[ColumnElement[bool]]:
    """The conditions on `Entity` that make the target's audience, to put in a WHERE.

    A target without filters is everybody of its schema here; that a campaign may not be activated on one
    (TARGET_WITHOUT_FILTERS) is the campaign's rule.

    Raises:
        FilterError: the stored filters cannot be used.
    """
    conditions = [Entity.org_id == org_id, Entity.schema == target.entity_schema]
    tree = parse_filters(target.entity_filters)
    return conditions if tree is None else [*conditions, predicate(session, tree, now)]


def audience_page(
    session: Session, org_id: UUID, target: Target, *, after: UUID | None, limit: int, now: datetime
) -> Select[UUID, str, str]:
    """The next `limit` of the audience by id: a SELECT of (id, schema, title), for INSERT … SELECT.

    Walks the index on (org_id, schema, id) from `after` on; ids order bytewise in both databases.

    Raises:
        FilterError: the stored filters cannot be used.
    """
    statement = select(Entity.id, Entity.schema, Entity.title).where(*audience(session, org_id, target, now))
    if after is not None:
        statement = statement.where(Entity.id > after)
    return statement.order_by(Entity.id).limit(limit)


def count(session: Session, org_id: UUID, target: Target, now: datetime) -> int:
    """How many are in the audience.

    Raises:
        FilterError: the stored filters cannot be used.
    """
    statement = select(func.count()).select_from(Entity).where(*audience(session, org_id, target, now))
    return session.execute(statement).scalar_one()
