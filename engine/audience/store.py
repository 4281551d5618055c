"""Entities in batches: one set operation, whose counts are exact; who was written is enrolled where it matches.

Rows with an external id meet what is there by (org, schema, external_id): new ones are inserted, changed ones
written, unchanged ones left alone (their `updated_at` too). A row is merged into what is there: names that it lacks
stay; or it replaces all attributes. Rows without an external id are new. An empty title never takes the place of
another.

On PostgreSQL that is one `INSERT … SELECT … ON CONFLICT DO UPDATE … WHERE` over one JSON parameter. On SQLite, under
the transaction's write lock, the entities that are there are read with one statement, merged here, and only those that
differ are written. Both are served by the unique index on (org_id, schema, external_id).

A JSON parameter measured 30,000 new rows/s with 12 columns against 26,000 for COPY into a temporary table and
12,000 for arrays (PostgreSQL 15, 2 cores), and needs no temporary table.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID, uuid4

import orjson
from sqlalchemy import text

from config.errors import MusterError
from engine.audience.attributes import MAX_BYTES, canonical, merged
from engine.audience.former import bring_back
from engine.delivery.enrol import enrol, guard
from engine.kernel.inputs import Invalid
from state.change import clock_of
from state.dialects import dialect_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy.orm import Session

__all__ = ["CannotStore", "Counts", "Mode", "Row", "store"]


class Mode(StrEnum):
    """What a row does to an entity that is there."""

    MERGE = "merge"
    """It changes the attributes that it names; the others stay."""
    REPLACE = "replace"
    """Its attributes take the place of all others."""


class Row(NamedTuple):
    """One entity to store."""

    external_id: str | None
    title: str
    attributes: str
    """JSON text, see `attributes.canonical`."""
    title_if_none: str = ""
    """Its title where `title` is empty and it has none yet."""
    matched_by: str = ""
    """What it is matched to entities by, where that is not the external id (engine.audience.keyed)."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of a batch."""

    created: int
    updated: int
    skipped: int


class CannotStore(MusterError):
    """Some rows cannot be stored. The transaction must be rolled back; without them the others can."""

    def __init__(self, troubles: Mapping[str, str]) -> None:
        super().__init__(f"{len(troubles)} rows cannot be stored")
        self.troubles = dict(troubles)
        """What is wrong, by external id."""


_POSTGRESQL = """
    WITH given AS MATERIALIZED (
        SELECT item->>0 AS external_id, item->>1 AS title, item->2 AS attributes,
            CAST(item->>3 AS uuid) AS former
        FROM jsonb_array_elements(CAST(:rows AS jsonb)) AS item
    ), written AS (
        INSERT INTO entity (id, org_id, schema, external_id, title, attributes, created_at, updated_at)
        SELECT coalesce(former, gen_random_uuid()), :org_id, :schema, external_id, title, attributes, :now, :now
        FROM given
        ON CONFLICT (org_id, schema, external_id) DO UPDATE SET
            title = coalesce(nullif(excluded.title, ''), entity.title),
            attributes = {attributes},
            updated_at = excluded.updated_at
        WHERE entity.attributes <> {attributes}
           OR entity.title <> coalesce(nullif(excluded.title, ''), entity.title)
        RETURNING id, external_id, xmax = 0 AS is_new,  -- a row version that no transaction has locked or replaced
            -- Bytes of jsonb are cheap to tell, and at least a sixth of those of the text.
            CASE WHEN pg_column_size(attributes) * 6 > :most THEN attributes::text END AS maybe_large
    )
    SELECT count(*) FILTER (WHERE is_new), array_agg(id),
        jsonb_object_agg(external_id, maybe_large) FILTER (WHERE octet_length(maybe_large) > :most)
    FROM written
"""
_STATEMENTS = {
    Mode.MERGE: text(_POSTGRESQL.format(attributes="entity.attributes || excluded.attributes")),
    Mode.REPLACE: text(_POSTGRESQL.format(attributes="excluded.attributes")),
}

#: Of rows that the transaction has written or locked.
_FILL_TITLES = text("""
    UPDATE entity SET title = given.value, updated_at = :now
    FROM jsonb_each_text(CAST(:titles AS jsonb)) AS given
    WHERE entity.org_id = :org_id AND entity.schema = :schema AND entity.external_id = given.key AND entity.title = ''
    RETURNING entity.id
""")

# CROSS JOIN keeps the order: one look-up in the unique index for each key, never a walk over all entities.
_SQLITE_KNOWN = """
    SELECT entity.external_id, entity.id, entity.title, entity.attributes FROM json_each(?) AS given
    CROSS JOIN entity ON entity.org_id = ? AND entity.schema = ? AND entity.external_id = given.value
"""
_SQLITE_INSERT = """
    INSERT INTO entity (id, org_id, schema, external_id, title, attributes, created_at, updated_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_SQLITE_UPDATE = "UPDATE entity SET title = ?, attributes = ?, updated_at = ? WHERE id = ?"


def store(
    session: Session, org_id: UUID, schema: str, rows: Sequence[Row], mode: Mode = Mode.MERGE
) -> Counts:
    """Write a batch in the session's transaction. External ids must not repeat within it.

    Two batches at once may wait for each other, never for ever: rows are written in the order of their
    external ids.

    Args:
        session: Whose transaction it is.
        org_id: Whose entities they are.
        schema: Their schema.
        rows: What to write.
        mode: What they do to entities that are there.

    Raises:
        CannotStore: what some rows were merged into has too many attributes.
    """
    if not rows:
        return Counts(0, 0, 0)
    guard(session, org_id, activates=False)
    ordered = sorted(rows, key=lambda row: row.external_id or "")
    created, ids = _WRITERS[dialect_of(session).name](session, org_id, schema, ordered, mode)
    enrol(session, org_id, schema, ids)
    return Counts(created, len(ids) - created, len(rows) - len(ids))


def _postgresql(
    session: Session, org_id: UUID, schema: str, rows: Sequence[Row], mode: Mode
) -> tuple[int, list[UUID]]:
    """How many were created, and the ids of the written."""
    former = bring_back(session, org_id, schema, [row.external_id for row in rows])
    given = ",".join(
        f"[{orjson.dumps(row.external_id).decode()},{orjson.dumps(row.title).decode()},{row.attributes}"
        + (f',"{former[row.external_id]}"]' if row.external_id in former else "]")
        for row in rows
    )
    shared = {"org_id": org_id, "schema": schema, "now": clock_of(session).now()}
    values = {**shared, "rows": f"[{given}]", "most": MAX_BYTES}
    created, written, large = session.execute(_STATEMENTS[mode], values).one()
    too_large = [key for key, attributes in (large or {}).items() if not _fits(attributes)]
    if too_large:
        raise _too_large(too_large)
    ids = dict.fromkeys(written or ())
    titles = {row.external_id: row.title_if_none for row in rows if row.title_if_none and row.external_id}
    if titles:
        filled = session.scalars(_FILL_TITLES, {**shared, "titles": orjson.dumps(titles).decode()})
        ids.update(dict.fromkeys(filled))
    return created, list(ids)


def _too_large(external_ids: Iterable[str]) -> CannotStore:
    return CannotStore(
        {key: f"gives {key!r} more than {MAX_BYTES} bytes of attributes as JSON" for key in external_ids}
    )


def _fits(attributes: str) -> bool:
    try:
        canonical(orjson.loads(attributes))
    except Invalid:
        return False
    return True


def _sqlite(
    session: Session, org_id: UUID, schema: str, rows: Sequence[Row], mode: Mode
) -> tuple[int, list[UUID]]:
    """How many were created, and the ids of the written."""
    connection = session.connection()
    keys = orjson.dumps([row.external_id for row in rows if row.external_id is not None]).decode()
    found = connection.exec_driver_sql(_SQLITE_KNOWN, (keys, org_id.hex, schema))
    known = {key: (id_, title, attributes) for key, id_, title, attributes in found}
    former = bring_back(session, org_id, schema, [row.external_id for row in rows])
    now = clock_of(session).now().strftime("%Y-%m-%d %H:%M:%S.%f")
    new, changed, too_large = [], [], []
    for key, title, attributes, title_if_none, _ in rows:
        if key is None or key not in known:
            id_ = former.get(key or "") or uuid4()
            new.append((id_.hex, org_id.hex, schema, key, title or title_if_none, attributes, now, now))
            continue
        id_, old_title, old = known[key]
        try:
            wanted = merged(old, attributes) if mode is Mode.MERGE else attributes
        except Invalid:
            too_large.append(key)
            continue
        name = title or old_title or title_if_none
        if (name, wanted) != (old_title, old):
            changed.append((name, wanted, now, id_))
    if too_large:
        raise _too_large(too_large)
    if new:
        connection.exec_driver_sql(_SQLITE_INSERT, new)
    if changed:
        connection.exec_driver_sql(_SQLITE_UPDATE, changed)
    return len(new), [UUID(hex=row[0]) for row in new] + [UUID(hex=row[-1]) for row in changed]


_WRITERS = {"postgresql": _postgresql, "sqlite": _sqlite}
