"""Several writers of the same entities at once: nobody waits for ever, and nothing is there twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import func, select

from engine.audience import importing
from engine.audience.entities import upsert_entity
from engine.audience.importing import import_entities
from state.tables import Entity

pytestmark = pytest.mark.slow

WRITERS = 4


def at_once(work):
    """The results of `work(number)` of each writer, started together."""
    barrier = Barrier(WRITERS)

    def start(number):
        barrier.wait(10)
        return work(number)

    with ThreadPoolExecutor(WRITERS) as pool:
        return list(pool.map(start, range(WRITERS)))


def entities(database, org_id):
    with database.read() as session:
        return session.execute(select(func.count()).where(Entity.org_id == org_id)).scalar_one()


def test_imports_of_the_same_file_in_any_order(database, org_id, monkeypatch):
    monkeypatch.setattr(importing, "_BATCH_ROWS", 100)
    keys = [f"{number}\n".encode() for number in range(1000)]

    def work(number):
        rows = [b"id\n", *(keys if number % 2 else reversed(keys))]
        return import_entities(
            database.begin, org_id, "contact", rows, content_type="text/csv", external_id="id"
        )

    results = at_once(work)
    assert 1000 == entities(database, org_id) == sum(result.created for result in results)
    assert 1000 * (WRITERS - 1) == sum(result.skipped for result in results)


def test_upserts_of_one_external_id(database, org_id):
    def work(number):
        with database.begin() as session:
            return upsert_entity(session, org_id, "contact", {"external_id": "c-1", "writer": number})

    results = at_once(work)
    assert 1 == entities(database, org_id) == sum(created for _, created in results)
    assert 1 == len({entity.id for entity, _ in results})
