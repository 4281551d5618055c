"""Entities one by one: get, upsert, patch, delete, list (docs/contract/own-routes.md).

An upsert goes by `_id`, else by `external_id`, else it creates; it replaces title and attributes. A patch
merges attributes by name, one level deep. Neither touches `updated_at` when nothing changes. Two upserts of
one external id at once leave one entity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, delete, func, literal, or_, select, update
from sqlalchemy import String as Text
from sqlalchemy.exc import IntegrityError

from engine import audit
from engine.audience.attributes import Given, canonical, read_entity, trimmed_id
from engine.audience.former import bring_back, remember
from engine.delivery.enrol import enrol, guard
from engine.filters.predicate import holds_text
from engine.filters.schema_names import check_schema
from engine.kernel import listing
from engine.kernel.inputs import Invalid, unstorable
from engine.kernel.media import AddressMedium, fold_address
from state.change import clock_of
from state.dialects import dialect_of
from state.errors import NotFound
from state.sets import insert_into
from state.tables import Entity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

__all__ = [
    "count_entities",
    "delete_entity",
    "entities_by_external_id",
    "entity_json",
    "find_entity",
    "find_for_update",
    "get_entity",
    "list_entities",
    "patch_entity",
    "search_entities",
    "upsert_entity",
]


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


def find_entity(session: Session, org_id: UUID, wanted: str) -> Entity:
    """The entity of that id, external id or e-mail address (in any case, with or without a name around it).

    Raises:
        NotFound: nobody is known by it.
        Invalid: several are.
    """
    try:
        known = [Entity.id == UUID(wanted)]
    except ValueError:
        email = func.lower(func.trim(Entity.attributes["email"].as_string()))
        forms = {form for form in (wanted.strip().lower(), fold_address(AddressMedium.EMAIL, wanted)) if form}
        known = [Entity.external_id == trimmed_id(wanted), email.in_(sorted(forms))]
    found = list(session.scalars(select(Entity).where(Entity.org_id == org_id, or_(*known)).limit(2)))
    if not found:
        raise NotFound("an entity of the id, external id or e-mail address", wanted)
    if len(found) > 1:
        raise Invalid("recipient", f"several are known by {wanted!r}: {found[0].id}, {found[1].id} …")
    return found[0]


def find_for_update(session: Session, org_id: UUID, schema: str, entity_id: UUID) -> Entity | None:
    """One entity as it is now, locked until the transaction ends; None: there is none of that id in the schema."""
    return session.execute(
        select(Entity)
        .where(Entity.org_id == org_id, Entity.schema == schema, Entity.id == entity_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).scalar_one_or_none()


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


def entities_by_external_id(
    session: Session, org_id: UUID, external_id: str, *, limit: int
) -> Sequence[UUID]:
    """Ids of the organization's entities of that external id, which each schema may have one of."""
    ours = select(Entity.id).where(Entity.org_id == org_id, Entity.external_id == trimmed_id(external_id))
    return session.scalars(ours.limit(limit)).all()


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
        return _noted(session, get_entity(session, org_id, schema, given.id), "update", body), False
    if given.id is None:
        former = bring_back(session, org_id, schema, [given.external_id])
        entity_id = former.get(given.external_id or "", entity_id)
    row = {"org_id": org_id, "schema": schema, **values, "created_at": now, "updated_at": now}
    found = _insert(session, entity_id, row, by_external_id=given.id is None)
    enrol(session, org_id, schema, [found])
    created = found == entity_id
    entity = get_entity(session, org_id, schema, found)
    return _noted(session, entity, "create" if created else "update", body), created


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
    entity = find_for_update(session, org_id, schema, entity_id)
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
    return _noted(session, get_entity(session, org_id, schema, entity_id), "update", body)


def _noted(session: Session, entity: Entity, action: str, given: dict[str, Any]) -> Entity:
    """The entity, once the audit log has the names of what was written; values are what is known of a person."""
    audit.note(session, "entity", action, entity.id, schema=entity.schema, attributes=sorted(given))
    return entity


def delete_entity(session: Session, org_id: UUID, schema: str, entity_id: UUID) -> None:
    """Remove an entity. What campaigns recorded of it stays, and holds for an entity created with its external id.

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
    audit.note(session, "entity", "delete", entity_id, schema=schema)
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
        conditions.append(holds_text(session, q, Entity.title, Entity.external_id))
    total = session.execute(select(func.count()).select_from(Entity).where(*conditions)).scalar_one()
    if next is not None:
        conditions.append(Entity.id > _position(next))
    statement = select(Entity).where(*conditions).order_by(Entity.id).limit(limit + 1)
    found = list(session.execute(statement).scalars())
    cursor = listing.encode_cursor([str(found[limit - 1].id)]) if len(found) > limit else None
    return listing.Page(found[:limit], cursor, total)


def search_entities(
    session: Session,
    org_id: UUID,
    schema: str,
    text: str | None,
    *,
    limit: int = 25,
    next: str | None = None,  # noqa: A002 - the word of the contract
) -> listing.Found[Entity]:
    """Entities of a schema, or of them those whose title or external id hold `text`, whatever the case. A page looks at
    a bounded number of them (`listing.search`), and counts none.

    Raises:
        Invalid: `next` is no cursor of such a search, or `text` cannot be searched for.
    """
    within = [Entity.org_id == org_id, Entity.schema == schema]
    where: list[ColumnElement[bool]] = []
    if text:
        if (trouble := unstorable(text)) is not None:
            raise Invalid("q", trouble[1])
        where.append(holds_text(session, text, Entity.title, Entity.external_id))
    return listing.search(session, Entity, Entity.id, within, where, limit=limit, next=next)


def count_entities(session: Session, org_id: UUID, schema: str) -> int:
    """How many entities a schema has. The unique index (org_id, schema, id), all of its part."""
    counted = select(func.count()).select_from(Entity).where(Entity.org_id == org_id, Entity.schema == schema)
    return int(session.execute(counted).scalar_one())


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
        "attributes": dialect_of(session).document(text),
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
    statement = insert_into(session, Entity).values(id=entity_id, **row)
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
        raise Invalid("_id", "cannot be used; leave it out, and one is made") from None
    return entity_id if row["external_id"] is None else _id_of(session, row) or entity_id


def _id_of(session: Session, row: dict[str, Any]) -> UUID | None:
    return session.execute(
        select(Entity.id).where(
            Entity.org_id == row["org_id"],
            Entity.schema == row["schema"],
            Entity.external_id == row["external_id"],
        )
    ).scalar_one_or_none()
