"""Rows that are matched to entities by what stands in an attribute (an e-mail address, a member's number) and not by an
external id: without blanks around it, and in any case of the letters A to Z.

Who is found is brought up to date, by the external id where there is one; who is not found is new. A value that several
entities have is nobody's: its row is not stored. On PostgreSQL such imports of an organization follow one another, so
that two of them at once make nobody twice.

A batch reads its schema once: there is no index on attributes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
from sqlalchemy import func, select, update

from engine.audience.attributes import canonical, merged
from engine.audience.store import CannotStore, Counts, Mode, store
from engine.delivery.enrol import enrol, guard
from engine.filters.predicate import filter_dialect_of
from engine.filters.texts import trim
from engine.kernel.inputs import Invalid
from state.change import clock_of
from state.locks import Lock, lock
from state.sets import among
from state.tables import Entity

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.audience.store import Row

__all__ = ["folded_key", "store_by_key"]

_LOWER = str.maketrans({chr(letter): chr(letter + 32) for letter in range(ord("A"), ord("Z") + 1)})


def folded_key(value: object) -> str:
    """What a value is compared as; empty when there is none."""
    return trim(str(value)).translate(_LOWER) if isinstance(value, str | int) else ""


def store_by_key(
    session: Session, org_id: UUID, schema: str, key: str, rows: Mapping[str, Row], mode: Mode
) -> Counts:
    """Write a batch in the session's transaction.

    Args:
        session: Whose transaction it is.
        org_id: Whose entities they are.
        schema: Their schema.
        key: The attribute that they are matched by.
        rows: By what stands in it (`folded_key`).
        mode: What they do to entities that are there.

    Raises:
        CannotStore: some rows; by what stands in the attribute.
    """
    guard(session, org_id, activates=False)
    lock(session, Lock.KEYED_IMPORT, org_id)
    found = _found(session, org_id, schema, key, list(rows))
    several = {
        value: f"{key}: {len(them)} entities have {value!r}; it must be that of one"
        for value, them in found.items()
        if len(them) > 1
    }
    if several:
        raise CannotStore(several)
    by_id = {them[0][0]: value for value, them in found.items() if them[0][1] is None}
    counts = _update(session, org_id, schema, {id_: rows[value] for id_, value in by_id.items()}, mode, by_id)
    others = {
        value: row._replace(external_id=found[value][0][1] if value in found else None)
        for value, row in rows.items()
        if value not in by_id.values()
    }
    try:
        stored = store(session, org_id, schema, list(others.values()), mode)
    except CannotStore as error:
        values = {row.external_id: value for value, row in others.items()}
        raise CannotStore({values[id_]: why for id_, why in error.troubles.items()}) from None
    return Counts(stored.created, counts.updated + stored.updated, counts.skipped + stored.skipped)


def _found(
    session: Session, org_id: UUID, schema: str, key: str, values: list[str]
) -> dict[str, list[tuple[UUID, str | None]]]:
    """Id and external id of the entities that have each value."""
    dialect = filter_dialect_of(session)
    folded = func.lower(dialect.ordered(dialect.trimmed(dialect.attribute(key).value.text)))
    statement = (
        select(folded, Entity.id, Entity.external_id)
        .where(Entity.org_id == org_id, Entity.schema == schema, among(session, folded, values))
        .order_by(Entity.external_id, Entity.id)
        .with_for_update(of=Entity)
    )
    found: dict[str, list[tuple[UUID, str | None]]] = {}
    for value, id_, external_id in session.execute(statement):
        found.setdefault(value, []).append((id_, external_id))
    return found


def _update(
    session: Session,
    org_id: UUID,
    schema: str,
    rows: Mapping[UUID, Row],
    mode: Mode,
    values: Mapping[UUID, str],
) -> Counts:
    """Write entities that have no external id."""
    if not rows:
        return Counts(0, 0, 0)
    now = clock_of(session).now()
    changes, troubles = [], {}
    known = select(Entity.id, Entity.title, Entity.attributes).where(among(session, Entity.id, list(rows)))
    for id_, title, attributes in session.execute(known).all():
        row, before = rows[id_], canonical(attributes)
        try:
            after = merged(before, row.attributes) if mode is Mode.MERGE else row.attributes
        except Invalid as error:
            troubles[values[id_]] = str(error)
            continue
        name = row.title or title or row.title_if_none
        if (name, after) != (title, before):
            changes.append({"id": id_, "title": name, "attributes": orjson.loads(after), "updated_at": now})
    if troubles:
        raise CannotStore(troubles)
    if changes:
        session.execute(update(Entity), changes)
        enrol(session, org_id, schema, [change["id"] for change in changes])
    return Counts(0, len(changes), len(rows) - len(changes))
