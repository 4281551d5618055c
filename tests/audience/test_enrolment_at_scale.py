"""Many entities, many running campaigns, many importers: enrolments exact, in a bounded number of statements.

`MUSTER_SCALE=full` runs the sizes of the promise (200,000 entities, 50 campaigns, 10,000 changes); otherwise a tenth.
The time and the statements are printed (`pytest -s`).
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event, func, select, text

from engine.audience.importing import import_entities
from state.tables import Campaign, Flow, Job, Recipient, Target, Template, Touchpoint
from tests.delivery.kit import Bench

if TYPE_CHECKING:
    from uuid import UUID

    from state.database import Database

pytestmark = pytest.mark.slow

FULL = os.environ.get("MUSTER_SCALE") == "full"
ENTITIES, CAMPAIGNS, CHANGED, IMPORTERS = (200_000, 50, 10_000, 8) if FULL else (8_000, 10, 1_000, 8)


def lines(numbers: range, region: int):
    """Some people, who all move to `region`."""
    yield b"id,email,region\n"
    for n in numbers:
        yield f"{n},p{n}@example.com,{region}\n".encode()


def test_changed_entities_are_enrolled_exactly_once(database: Database, org_id: UUID) -> None:
    bench = Bench(database, org_id)
    times = bench.times()
    with database.begin() as session:
        template = Template(org_id=org_id, name="t", subject="s", text="t", **times)
        flow = Flow(org_id=org_id, name="f", **times)
        session.add_all([template, flow])
        session.flush()
        session.add(Touchpoint(org_id=org_id, flow_id=flow.id, position=0, template_id=template.id, **times))
        for number in range(CAMPAIGNS):
            item = {"key": "region", "operator": "EQUALS", "value": str(number)}
            tree = {"filter": {"items": [item], "combination": "AND"}}
            target = Target(org_id=org_id, name="r", entity_schema="contact", entity_filters=tree, **times)
            session.add(target)
            session.flush()
            session.add(
                Campaign(
                    org_id=org_id,
                    name=f"c{number}",
                    status="active",
                    ends="when_told",
                    target_ids=[str(target.id)],
                    flow_id=flow.id,
                    **times,
                )
            )

    def everybody():
        yield b"id,email,region\n"
        for start in range(0, ENTITIES, 1000):
            yield b"".join(b"%d,p%d@example.com,none\n" % (n, n) for n in range(start, start + 1000))

    def run(chunks) -> int:
        done = import_entities(
            bench.runtime.transaction, org_id, "contact", chunks, content_type="text/csv", external_id="id"
        )
        return done.created + done.updated

    assert ENTITIES == run(everybody())
    assert 0 == count(database, Recipient)
    if database.dialect.name == "postgresql":
        with database.begin() as session:
            session.execute(text("ANALYZE entity"))
    statements = 0

    def counted(*_: object) -> None:
        nonlocal statements
        statements += 1

    event.listen(database.engine, "before_cursor_execute", counted)
    region = CAMPAIGNS // 2
    began = time.perf_counter()
    with ThreadPoolExecutor(IMPORTERS) as pool:  # everybody imports the same changes
        list(pool.map(lambda _: run(lines(range(CHANGED), region)), range(IMPORTERS)))
    seconds = time.perf_counter() - began
    event.remove(database.engine, "before_cursor_execute", counted)
    print(  # noqa: T201 - asked for
        f"\n{database.engine.name}: {CHANGED:,} changes of {ENTITIES:,} entities by {IMPORTERS} importers, "
        f"{CAMPAIGNS} campaigns: {seconds:.1f} s, {statements} statements"
    )
    assert CHANGED == count(database, Recipient)
    with database.read() as session:
        totals = session.execute(select(func.sum(Job.total)).where(Job.kind == "enrolment")).scalar_one()
    assert CHANGED == totals
    assert statements < IMPORTERS * (20 + CHANGED / 100 + 4 * CAMPAIGNS)
    bench.close()


def count(database: Database, table) -> int:
    with database.read() as session:
        return session.execute(select(func.count()).select_from(table)).scalar_one()
