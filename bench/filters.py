"""Filters over a large audience: how long a count takes, and planning who is in."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from bench.ground import Ground
from bench.results import Result
from bench.seeding import seed
from engine.filters.targets import audience_page, count
from state.change import clock_of
from state.database import Database
from state.tables import Target

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

    from bench.scale import Scale

__all__ = ["run"]

_FILTERS: dict[str, list[dict[str, Any]]] = {
    "everybody": [{"key": "email", "operator": "NOT_EMPTY"}],
    "equals": [{"key": "city", "operator": "EQUALS", "value": "City 7"}],
    "number": [{"key": "balance", "operator": "GREATER_THAN", "value": 4900}],
    "date": [{"key": "joined", "operator": "LESS_THAN", "value": "2020-02-01"}],
    "text": [{"key": "first_name", "operator": "CONTAINS", "value": "999"}],
}


def run(scale: Scale, directory: Path) -> list[Result]:
    """Seconds to count each audience, and to walk the whole of one in pages of 10,000."""
    results = []
    with Ground(directory) as ground:
        database = Database(ground.create_seed())
        org_id, _ = seed(database, scale.entities)
        for name, items in _FILTERS.items():
            seconds, found = _count(database, org_id, items)
            print(f"  {name}: {found:,} of {scale.entities:,} in {seconds:.2f} s")
            results.append(Result.alone(f"filters.count.{name}.{scale.entities}", seconds, "seconds"))
        walked = _walk(database, org_id, _FILTERS["number"])
        results.append(Result.alone(f"filters.walk.number.{scale.entities}", walked, "seconds"))
        database.close()
    return results


def _target(org_id: UUID, items: list[dict[str, Any]]) -> Target:
    tree = {"filter": {"items": items, "combination": "AND"}}
    return Target(id=uuid4(), org_id=org_id, name="bench", entity_schema="contact", entity_filters=tree)


def _count(database: Database, org_id: UUID, items: list[dict[str, Any]]) -> tuple[float, int]:
    with database.read() as session:
        now = clock_of(session).now()
        started = time.monotonic()
        found = count(session, org_id, _target(org_id, items), now)
        return time.monotonic() - started, found


def _walk(database: Database, org_id: UUID, items: list[dict[str, Any]]) -> float:
    target, after = _target(org_id, items), None
    started = time.monotonic()
    with database.read() as session:
        now = clock_of(session).now()
        while True:
            page = session.execute(
                audience_page(session, org_id, target, after=after, limit=10_000, now=now)
            ).all()
            if not page:
                return time.monotonic() - started
            after = page[-1].id
