"""What the two baselines have in common: planning, processes that take slices until none is left, and the measuring.

A campaign is planned by `INSERT … SELECT` in pages of 10,000 and cut into slices of 500. One process plans first and
then delivers; the others deliver from the first page on. Server and number of processes are Muster's. A baseline cannot
retry, pause, exclude, fence off a second worker, or render: the distance between it and Muster is what those cost.
"""

from __future__ import annotations

import multiprocessing
import time
from importlib import import_module
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import psycopg

from bench.baselines.tables import create_tables
from bench.meter import Footprint, Run

if TYPE_CHECKING:
    from bench.ground import Ground

__all__ = ["deliver"]

_PAGE = 10_000
_SLICE = 500

_JOB = """
    INSERT INTO job (id, org_id, campaign_id, kind, status, held, "window", target_ids, planned, total, success,
        failed, cancelled, slices_total, slices_done, touched_at, created_at, updated_at)
    VALUES (%s, %s, %s, 'activation', 'processing', false, 16, '[]', false, 0, 0, 0, 0, 0, 0, now(), now(), now())
"""
_PLAN = """
    WITH page AS MATERIALIZED (
        SELECT id, schema, title, %(first)s + (row_number() OVER (ORDER BY id) - 1) / 500 AS number
        FROM entity WHERE org_id = %(org_id)s AND schema = 'contact' AND id > %(after)s
            AND attributes ->> 'email' <> ''
        ORDER BY id LIMIT 10000
    ), written AS (
        INSERT INTO recipient (campaign_id, entity_id, org_id, entity_schema, title, job_id, slice_number,
            automation_status, target_id, attempt, in_flight, created_at, updated_at)
        SELECT %(campaign_id)s, id, %(org_id)s, schema, title, %(job_id)s, number, 'pending', %(target_id)s, 0, false,
            now(), now()
        FROM page
    )
    SELECT number, count(*), (array_agg(id ORDER BY id))[1], (array_agg(id ORDER BY id DESC))[1]
    FROM page GROUP BY number ORDER BY number
"""
_CUT = """
    INSERT INTO slice (org_id, job_id, number, state, size, first_entity, last_entity, due_at, target_id, lease_epoch,
        in_progress, success, failed, cancelled)
    VALUES (%s, %s, %s, 'ready', %s, %s, %s, now(), %s, 0, 0, 0, 0, 0)
"""
_COUNT_PLANNED = (
    "UPDATE job SET total = total + %s, slices_total = slices_total + %s, planned = %s WHERE id = %s"
)
_CLOSE = """
    UPDATE slice SET state = 'done', lease_expires_at = NULL, woken_at = NULL, success = size
    WHERE job_id = %(job_id)s AND number = %(number)s
"""
_COUNT = """
    UPDATE job SET success = success + %(sent)s, slices_done = slices_done + 1, updated_at = now() WHERE id = %(job_id)s
"""
_PLACE = """
    SELECT touchpoint.id, (campaign.target_ids ->> 0)::uuid
    FROM campaign JOIN touchpoint USING (flow_id) WHERE campaign.id = %s
"""
_SUM = """
    INSERT INTO delivery_hour (org_id, campaign_id, hour, touchpoint_id, variant, target_id, sent, failed, cancelled)
    VALUES (%(org_id)s, %(campaign_id)s, date_trunc('hour', now(), 'UTC'), %(touchpoint_id)s, '', %(target_id)s,
        %(sent)s, 0, 0)
    ON CONFLICT (campaign_id, hour, touchpoint_id, variant, target_id)
    DO UPDATE SET sent = delivery_hour.sent + excluded.sent
"""


def deliver(
    ground: Ground,
    program: str,
    database_url: str,
    org_id: UUID,
    campaign_id: UUID,
    size: int,
    *,
    processes: int,
) -> Run:
    """Write it all and say what it cost; starting the processes does not count.

    Args:
        program: `raw` or `lean`: the module of this package with its two statements, and its layout of the tables.
        database_url: Of a fresh copy of the seeded database.

    Raises:
        RuntimeError: not every recipient ended in success.
    """
    url = create_tables(database_url.replace("+psycopg", ""), program)
    job_id = uuid4()
    with psycopg.connect(url) as connection:
        connection.execute(_JOB, (job_id, org_id, campaign_id))
    context = multiprocessing.get_context("spawn")
    gate = context.Barrier(processes + 1)
    spent = context.Queue()
    started = [
        context.Process(
            target=_run, args=(program, url, org_id, campaign_id, job_id, number == 0, gate, spent)
        )
        for number in range(processes)
    ]
    for process in started:
        process.start()
    footprint = Footprint(ground.postgres, url, f"{program}.recipient")
    gate.wait()
    begun = time.monotonic()
    own = sum(spent.get() for _ in started)
    seconds = time.monotonic() - begun
    database_cpu, wal, table = footprint.taken()
    for process in started:
        process.join()
    with psycopg.connect(url) as connection:
        counted = connection.execute("SELECT total, success FROM job WHERE id = %s", (job_id,)).fetchone()
    if counted != (size, size):
        raise RuntimeError(f"{size} recipients, and the job counts {counted}")
    return Run(size=size, seconds=seconds, program_cpu=own, database_cpu=database_cpu, wal=wal, table=table)


def _run(
    program: str, url: str, org_id: UUID, campaign_id: UUID, job_id: UUID, plans: bool, gate: Any, spent: Any
) -> None:
    """One process."""
    statements = import_module(f"bench.baselines.{program}")
    with psycopg.connect(url) as connection:
        place = connection.execute(_PLACE, (campaign_id,)).fetchone()
        connection.commit()
        assert place is not None
        names: dict[str, Any] = {"org_id": org_id, "campaign_id": campaign_id, "job_id": job_id}
        names |= {"touchpoint_id": place[0], "target_id": place[1]}
        gate.wait()
        before = time.process_time()
        if plans:
            _plan(connection, names)
        while _slice(connection, statements, names) or not _planned(connection, job_id):
            pass
        spent.put(time.process_time() - before)


def _planned(connection: psycopg.Connection[Any], job_id: UUID) -> bool:
    """Whether there is nothing more to come: asked when no slice was ready."""
    row = connection.execute(
        "SELECT planned AND NOT EXISTS (SELECT FROM slice WHERE job_id = %(job_id)s AND state = 'ready') "
        "FROM job WHERE id = %(job_id)s",
        {"job_id": job_id},
    ).fetchone()
    connection.commit()
    assert row is not None
    return bool(row[0])


def _plan(connection: psycopg.Connection[Any], names: dict[str, Any]) -> None:
    after, number = UUID(int=0), 0
    org_id, job_id, target_id = names["org_id"], names["job_id"], names["target_id"]
    while True:
        slices = connection.execute(_PLAN, {**names, "first": number, "after": after}).fetchall()
        size = sum(count for _, count, _, _ in slices)
        with connection.cursor() as cursor:
            cursor.executemany(_CUT, [(org_id, job_id, *cut, target_id) for cut in slices])
        connection.execute(_COUNT_PLANNED, (size, len(slices), size < _PAGE, job_id))
        connection.commit()
        if size < _PAGE:
            return
        number += size // _SLICE
        after = slices[-1][3]


def _slice(connection: psycopg.Connection[Any], statements: Any, names: dict[str, Any]) -> bool:
    """Deliver one slice in two transactions; False when none is ready."""
    claimed = statements.claim(connection, names)
    connection.commit()
    if claimed is None:
        return False
    number, messages = claimed
    values = {**names, "number": number, "sent": len(messages)}
    for statement in (statements.SETTLE, _CLOSE, _COUNT, _SUM):
        connection.execute(statement, values)
    connection.commit()
    return True
