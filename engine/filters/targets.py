"""Saved audiences: what they are, and who is in them, by pages, by number and by name.

A target's filters are read when it is written, so that no campaign meets filters that cannot be used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from pydantic import Field
from sqlalchemy import and_, false, func, or_, select

from engine.filters.calendar import organization_time
from engine.filters.filters import conditions_of, parse_filters
from engine.filters.predicate import holds_text, predicate
from engine.filters.schema_names import SchemaName  # noqa: TC001 - pydantic reads it
from engine.kernel import listing
from engine.kernel.inputs import (
    Input,
    Invalid,
    LongText,
    Name,
    Rewritable,
    unstorable,
)
from state.change import clock_of
from state.sets import among
from state.tables import Entity, Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.orm import Session

__all__ = [
    "TargetChange",
    "TargetInput",
    "audience",
    "audience_page",
    "bases",
    "count",
    "count_any",
    "create_target",
    "delete_target",
    "get_target",
    "has_filters",
    "list_targets",
    "matching_ids",
    "update_target",
]


class TargetInput(Input):
    """A new target."""

    name: Name
    description: LongText | None = None
    entity_schema: SchemaName
    entity_filters: dict[str, Any] | None = None
    """As in docs/contract/targeting.md; absent, or without items: the target has no filters."""
    extras: dict[str, Any] = Field(default_factory=dict)
    """What a dialect keeps besides."""


class TargetChange(Rewritable, TargetInput):
    """What is to be different; what is not given stays."""

    name: Name = ""
    entity_schema: SchemaName = ""


def create_target(session: Session, org_id: UUID, given: TargetInput) -> Target:
    """Keep a target.

    Raises:
        FilterError: its filters cannot be used; names the field.
    """
    parse_filters(given.entity_filters)
    now = clock_of(session).now()
    target = Target(id=uuid4(), org_id=org_id, **given.model_dump(), created_at=now, updated_at=now)
    session.add(target)
    session.flush()
    return target


def get_target(session: Session, org_id: UUID, target_id: UUID) -> Target:
    """One target.

    Raises:
        NotFound: there is none.
    """
    return listing.find(session, Target, org_id, target_id)


def list_targets(
    session: Session,
    org_id: UUID,
    *,
    q: str | None = None,
    limit: int = 25,
    next: str | None = None,  # noqa: A002 - the word of the contract
) -> listing.Page[Target]:
    """Targets, newest first; `q` must stand in the name, whatever the case. A campaign's own are not among them.

    Raises:
        Invalid: `limit` is outside 1..1000, `next` is no cursor of such a list, or `q` cannot be searched
            for.
    """
    where: list[ColumnElement[bool]] = [Target.campaign_id.is_(None)]
    if q:
        if (trouble := unstorable(q)) is not None:
            raise Invalid("q", trouble[1])
        where.append(holds_text(session, q, Target.name))
    return listing.page(session, Target, org_id, *where, limit=limit, next=next)


def update_target(session: Session, org_id: UUID, target_id: UUID, given: TargetChange) -> Target:
    """Change a target; a plan under way uses it from its next page on.

    Raises:
        NotFound: there is none.
        FilterError: its filters cannot be used. Nothing was changed.
    """
    parse_filters(given.entity_filters)
    target = listing.find(session, Target, org_id, target_id, lock=True)
    if given.model_fields_set:
        for name in given.model_fields_set:
            setattr(target, name, getattr(given, name))
        listing.stamp(session, target)
        session.flush()
    return target


def delete_target(session: Session, org_id: UUID, target_id: UUID) -> None:
    """Remove a target. A campaign that names it finds nobody in it.

    Raises:
        NotFound: there is none.
    """
    session.delete(listing.find(session, Target, org_id, target_id, lock=True))
    session.flush()


def audience(session: Session, org_id: UUID, target: Target, now: datetime) -> list[ColumnElement[bool]]:
    """The conditions on `Entity` that make the target's audience, to put in a WHERE.

    A target without filters is everybody of its schema here; that a campaign may not be activated on one
    (TARGET_WITHOUT_FILTERS) is the campaign's rule.

    Raises:
        FilterError: the stored filters cannot be used.
    """
    conditions = [Entity.org_id == org_id, Entity.schema == target.entity_schema]
    found = [parse_filters(target.entity_filters)]
    if target.base_id is not None:
        base = bases(session, org_id, [target]).get(target.base_id)
        if base is None:
            return [*conditions, false()]
        conditions.append(Entity.schema == base.entity_schema)
        found.append(parse_filters(base.entity_filters))
    trees = [tree for tree in found if tree is not None]
    asked = (condition for tree in trees for condition in conditions_of(tree))
    local = organization_time(session, org_id, now, asked)
    return [*conditions, *(predicate(session, tree, local) for tree in trees)]


def has_filters(target: Target) -> bool:
    """Whether the target narrows its schema at all. Nobody is planned or enrolled by one that does not: everybody may
    be looked at, and may not be written to (TARGET_WITHOUT_FILTERS).
    """
    return bool(((target.entity_filters or {}).get("filter") or {}).get("items"))


def bases(session: Session, org_id: UUID, targets: Iterable[Target]) -> dict[UUID, Target]:
    """The targets that some of `targets` narrow, by id. No statement where none does."""
    wanted = {target.base_id for target in targets if target.base_id is not None}
    if not wanted:
        return {}
    found = session.scalars(select(Target).where(Target.org_id == org_id, among(session, Target.id, wanted)))
    return {target.id: target for target in found}


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
    """How many a campaign for the target would be for: nobody while it has no filters (see `has_filters`).

    Raises:
        FilterError: the stored filters cannot be used.
    """
    return count_any(session, org_id, [target], now)


def count_any(session: Session, org_id: UUID, targets: Sequence[Target], now: datetime) -> int:
    """How many are in the audience of at least one of the targets that have filters.

    Raises:
        FilterError: the stored filters cannot be used.
    """
    wanted = [target for target in targets if has_filters(target)]
    if not wanted:
        return 0
    any_of = or_(*(and_(*audience(session, org_id, target, now)) for target in wanted))
    statement = select(func.count()).select_from(Entity).where(Entity.org_id == org_id, any_of)
    return session.execute(statement).scalar_one()


def matching_ids(
    session: Session, org_id: UUID, target: Target, entity_ids: Iterable[UUID], now: datetime
) -> set[UUID]:
    """Those of the ids that are in the audience.

    Raises:
        FilterError: the stored filters cannot be used.
    """
    conditions = [*audience(session, org_id, target, now), among(session, Entity.id, entity_ids)]
    return set(session.scalars(select(Entity.id).where(*conditions)))
