"""Entities in batches: one set operation, whose counts are exact; who was written is enrolled where it matches.

Rows with an external id meet what is there by (org, schema, external_id): new ones are inserted, changed ones
replaced, unchanged ones left alone (their `updated_at` too). Rows without one are new. An empty title never
takes the place of another.

On PostgreSQL that is one `INSERT … SELECT … ON CONFLICT DO UPDATE … WHERE` over one JSON parameter, on SQLite
the same row by row in one prepared statement, under the transaction's write lock. Both are served by the
unique index on (org_id, schema, external_id).

A JSON parameter measured 30,000 new rows/s with 12 columns against 26,000 for COPY into a temporary table and
12,000 for arrays (PostgreSQL 15, 2 cores), and needs no temporary table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID, uuid4

import orjson
from sqlalchemy import text

from engine.delivery.enrol import enrol, guard
from state.change import clock_of
from state.sets import is_postgresql

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

__all__ = ["Counts", "Row", "store"]


class Row(NamedTuple):
    """One entity to store."""

    external_id: str | None
    title: str
    attributes: str
    """JSON text, see `attributes.canonical`."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of a batch."""

    created: int
    updated: int
    skipped: int


_POSTGRESQL = text("""
    WITH given AS MATERIALIZED (
        SELECT item->>0 AS external_id, item->>1 AS title, item->2 AS attributes
        FROM jsonb_array_elements(CAST(:rows AS jsonb)) AS item
    ), written AS (
        INSERT INTO entity (id, org_id, schema, external_id, title, attributes, created_at, updated_at)
        SELECT gen_random_uuid(), :org_id, :schema, external_id, title, attributes, :now, :now FROM given
        ON CONFLICT (org_id, schema, external_id) DO UPDATE SET
            title = coalesce(nullif(excluded.title, ''), entity.title),
            attributes = excluded.attributes,
            updated_at = excluded.updated_at
        WHERE entity.attributes <> excluded.attributes
           OR entity.title <> coalesce(nullif(excluded.title, ''), entity.title)
        RETURNING id, xmax = 0 AS is_new  -- a row version that no transaction has locked or replaced was inserted
    )
    SELECT count(*) FILTER (WHERE is_new), array_agg(id) FROM written
""")

_SQLITE = """
    INSERT INTO entity (id, org_id, schema, external_id, title, attributes, created_at, updated_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (org_id, schema, external_id) DO UPDATE SET
        title = coalesce(nullif(excluded.title, ''), title),
        attributes = excluded.attributes,
        updated_at = excluded.updated_at
    WHERE attributes <> excluded.attributes OR title <> coalesce(nullif(excluded.title, ''), title)
"""

# CROSS JOIN keeps the order: one look-up in the unique index for each key, never a walk over all entities.
_SQLITE_KNOWN = """
    SELECT count(*) FROM json_each(?) AS given
    CROSS JOIN entity ON entity.org_id = ? AND entity.schema = ? AND entity.external_id = given.value
"""

#: Under the write lock nobody else has written with this `updated_at`, except perhaps a batch within the same
#: microsecond, whose rows it does no harm to look at twice.
_SQLITE_WRITTEN = """
    SELECT entity.id FROM json_each(?) AS given
    CROSS JOIN entity ON entity.org_id = ? AND entity.schema = ? AND entity.external_id = given.value
    WHERE entity.updated_at = ?
"""


def store(session: Session, org_id: UUID, schema: str, rows: Sequence[Row]) -> Counts:
    """Write a batch in the session's transaction. External ids must not repeat within it.

    Two batches at once may wait for each other, never for ever: rows are written in the order of their
    external ids.
    """
    if not rows:
        return Counts(0, 0, 0)
    guard(session, org_id, activates=False)
    ordered = sorted(rows, key=lambda row: row.external_id or "")
    write = _postgresql if is_postgresql(session) else _sqlite
    created, written, ids = write(session, org_id, schema, ordered)
    enrol(session, org_id, schema, ids)
    return Counts(created, written - created, len(rows) - written)


#: Created, written, and the ids of the written.
_Written = tuple[int, int, list[UUID]]


def _postgresql(session: Session, org_id: UUID, schema: str, rows: Sequence[Row]) -> _Written:
    given = ",".join(
        f"[{orjson.dumps(row.external_id).decode()},{orjson.dumps(row.title).decode()},{row.attributes}]"
        for row in rows
    )
    values = {"rows": f"[{given}]", "org_id": org_id, "schema": schema, "now": clock_of(session).now()}
    created, written = session.execute(_POSTGRESQL, values).one()
    return created, len(written or ()), written or []


def _sqlite(session: Session, org_id: UUID, schema: str, rows: Sequence[Row]) -> _Written:
    connection = session.connection()
    keys = orjson.dumps([row.external_id for row in rows if row.external_id is not None]).decode()
    known: int = connection.exec_driver_sql(_SQLITE_KNOWN, (keys, org_id.hex, schema)).scalar_one()
    now = clock_of(session).now().strftime("%Y-%m-%d %H:%M:%S.%f")
    values = [
        (uuid4().hex, org_id.hex, schema, row.external_id, row.title, row.attributes, now, now)
        for row in rows
    ]
    written: int = connection.exec_driver_sql(_SQLITE, values).rowcount
    changed = connection.exec_driver_sql(_SQLITE_WRITTEN, (keys, org_id.hex, schema, now)).scalars()
    unkeyed = [UUID(row[0]) for row in values if row[3] is None]
    return len(rows) - known, written, [*map(UUID, changed), *unkeyed]
