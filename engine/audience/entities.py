"""Entities one by one: get, upsert, patch, delete, list (docs/contract/own-routes.md).

An upsert goes by `_id`, else by `external_id`, else it creates; it replaces title and attributes. A patch
merges attributes by name, one level deep. Neither touches `updated_at` when nothing changes. Two upserts of
one external id at once leave one entity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, cast, delete, func, literal, or_, select, update
from sqlalchemy import String as Text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError

from engine import listing
from engine.audience.attributes import Given, canonical, check_schema, read_entity
from engine.audience.comparisons import Holds
from engine.audience.former import bring_back, remember
from engine.audience.predicate import dialect_of
from engine.delivery.enrol import enrol, guard
from engine.inputs import Invalid, unstorable
from state.change import clock_of
from state.errors import NotFound
from state.sets import is_postgresql
from state.tables import Entity

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = ["delete_entity", "entity_json", "get_entity", "list_entities", "patch_entity", "upsert_entity"]


def entity_json(entity: Entity) -> dict[str, Any]:
    """The entity as the API gives it; what is absent is left out."""
    own: dict[str, Any] = {
        "_id": str(entity.id),
        "_org": str(entity.org_id),
        "_schema": entity.schema,
        "_title": entity.title,
        "_created_at": entity.created_at.isoformat(),
        "_updated_at": entity.updated_at.isoformat(),
    }
    if entity.external_id is not None:
        own["external_id"] = entity.external_id
    return {**entity.attributes, **own}


def get_entity(session: Session, org_id: UUID, schema: str, entity_id: UUID) -> Entity:
    """One entity.

    Raises:
        NotFound: there is none of that id in the schema.
    """
    entity = session.execute(
        select(Entity)
        .where(Entity.org_id == org_id, Entity.schema == schema, Entity.id == entity_id)
        .execution_options(populate_existing=True)
    ).scalar_one_or_none()
    if entity is None:
        raise NotFound("entity", entity_id)
    return entity


def upsert_entity(session: Session, org_id: UUID, schema: str, body: Any) -> tuple[Entity, bool]:
    """Create or replace an entity; also says whether it was created.

    Raises:
        Invalid: a field cannot be stored, or `_id` or `external_id` is another entity's. Nothing was changed.
    """
    check_schema(schema)
    given = read_entity(body)
    guard(session, org_id, activates=False)
    values = _values(session, given)
    now = clock_of(session).now()
    entity_id = given.id or uuid4()
    if given.id is not None and _exists(session, org_id, schema, given.id):
        _replace(session, given.id, values)
        enrol(session, org_id, schema, [given.id])
        return get_entity(session, org_id, schema, given.id), False
    if given.id is None:
        former = bring_back(session, org_id, schema, [given.external_id])
        entity_id = former.get(given.external_id or "", entity_id)
    row = {"org_id": org_id, "schema": schema, **values, "created_at": now, "updated_at": now}
    found = _insert(session, entity_id, row, by_external_id=given.id is None)
    enrol(session, org_id, schema, [found])
    return get_entity(session, org_id, schema, found), found == entity_id


def patch_entity(session: Session, org_id: UUID, schema: str, entity_id: UUID, body: Any) -> Entity:
    """Change what is named and leave the rest; an attribute of null stays as null, which is EMPTY.

    Raises:
        NotFound: there is none of that id in the schema.
        Invalid: a field cannot be stored, or `external_id` is another entity's. Nothing was changed.
    """
    given = read_entity(body)
    if given.id not in (None, entity_id):
        raise Invalid("_id", "cannot be changed")
    guard(session, org_id, activates=False)
    entity = session.execute(
        select(Entity)
        .where(Entity.org_id == org_id, Entity.schema == schema, Entity.id == entity_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).scalar_one_or_none()
    if entity is None:
        raise NotFound("entity", entity_id)
    merged = Given(
        id=entity_id,
        external_id=given.external_id if given.has_external_id else entity.external_id,
        title=entity.title if given.title is None else given.title,
        attributes={**entity.attributes, **given.attributes},
    )
    _replace(session, entity_id, _values(session, merged))
    enrol(session, org_id, schema, [entity_id])
    return get_entity(session, org_id, schema, entity_id)


def delete_entity(session: Session, org_id: UUID, schema: str, entity_id: UUID) -> None:
    """Remove an entity. What campaigns recorded of it stays, and holds for whoever is created with its external id.

    Raises:
        NotFound: there is none of that id in the schema.
    """
    statement = (
        delete(Entity)
        .where(Entity.org_id == org_id, Entity.schema == schema, Entity.id == entity_id)
        .returning(Entity.external_id)
        .execution_options(synchronize_session=False)
    )
    gone = session.execute(statement).first()
    if gone is None:
        raise NotFound("entity", entity_id)
    if gone.external_id is not None:
        remember(session, org_id, schema, entity_id, gone.external_id)


def list_entities(
    session: Session,
    org_id: UUID,
    schema: str,
    *,
    q: str | None = None,
    limit: int = 25,
    next: str | None = None,  # noqa: A002 - the word of the contract
) -> listing.Page[Entity]:
    """A page of a schema's entities by id; `q` must stand in title or external id, whatever the case.

    Raises:
        Invalid: `limit` is outside 1..1000, `next` is no cursor of such a list, or `q` cannot be searched
            for.
    """
    listing.check_limit(limit)
    conditions: list[ColumnElement[bool]] = [Entity.org_id == org_id, Entity.schema == schema]
    if q:
        if (trouble := unstorable(q)) is not None:
            raise Invalid("q", trouble[1])
        holds, needle = dialect_of(session).holds, Holds(q)
        external_id = func.coalesce(Entity.external_id, "")
        conditions.append(or_(holds(Entity.title, needle), holds(external_id, needle)))
    total = session.execute(select(func.count()).select_from(Entity).where(*conditions)).scalar_one()
    if next is not None:
        conditions.append(Entity.id > _position(next))
    statement = select(Entity).where(*conditions).order_by(Entity.id).limit(limit + 1)
    found = list(session.execute(statement).scalars())
    cursor = listing.encode_cursor([str(found[limit - 1].id)]) if len(found) > limit else None
    return listing.Page(found[:limit], cursor, total)


def _position(cursor: str) -> UUID:
    try:
        (position,) = listing.decode_cursor(cursor)
        return UUID(position)
    except (ValueError, TypeError, AttributeError):
        raise Invalid("next", "is not a cursor that this list gave out") from None


def _values(session: Session, given: Given) -> dict[str, Any]:
    text = literal(canonical(given.attributes), Text)
    return {
        "external_id": given.external_id,
        "title": given.title or "",
        "attributes": cast(text, JSONB) if is_postgresql(session) else text,
    }


def _exists(session: Session, org_id: UUID, schema: str, entity_id: UUID) -> bool:
    """Whether the entity is there to be replaced.

    Raises:
        Invalid: it is of another schema.
    """
    found = session.execute(
        select(Entity.schema).where(Entity.org_id == org_id, Entity.id == entity_id)
    ).scalar_one_or_none()
    if found not in (None, schema):
        raise Invalid("_id", f"{entity_id} is of the schema {found}")
    return found is not None


def _differs(values: dict[str, Any]) -> ColumnElement[bool]:
    return or_(
        Entity.external_id.is_distinct_from(values["external_id"]),
        Entity.title != values["title"],
        Entity.attributes != values["attributes"],
    )


def _replace(session: Session, entity_id: UUID, values: dict[str, Any]) -> None:
    """Set the values of an entity of ours, if they differ."""
    statement = (
        update(Entity)
        .where(Entity.id == entity_id, _differs(values))
        .values(**values, updated_at=clock_of(session).now())
        .execution_options(synchronize_session=False)
    )
    try:
        with session.begin_nested():
            session.execute(statement)
    except IntegrityError:
        raise Invalid("external_id", f"{values['external_id']!r} is another entity's") from None


def _insert(session: Session, entity_id: UUID, row: dict[str, Any], *, by_external_id: bool) -> UUID:
    """Insert the entity, or replace the one of its external id; the id of whichever it was."""
    insert: Any = postgresql.insert if is_postgresql(session) else sqlite.insert
    statement = insert(Entity).values(id=entity_id, **row)
    if by_external_id:
        statement = statement.on_conflict_do_update(
            index_elements=["org_id", "schema", "external_id"],
            set_={key: row[key] for key in ("title", "attributes", "updated_at")},
            where=_differs(row),
        )
    try:
        with session.begin_nested():
            session.execute(statement.execution_options(synchronize_session=False))
    except IntegrityError:
        known = _id_of(session, row) if row["external_id"] is not None else None
        if known is not None:
            raise Invalid("external_id", f"{row['external_id']!r} is another entity's") from None
        raise Invalid("_id", f"{entity_id} is taken") from None
    return entity_id if row["external_id"] is None else _id_of(session, row) or entity_id


def _id_of(session: Session, row: dict[str, Any]) -> UUID | None:
    return session.execute(
        select(Entity.id).where(
            Entity.org_id == row["org_id"],
            Entity.schema == row["schema"],
            Entity.external_id == row["external_id"],
        )
    ).scalar_one_or_none()
