"""The same rows written by a program that does nothing else: plain psycopg, no rules, no recovery.

It plans by `INSERT … SELECT` in pages of 10,000, cuts slices of 500, takes a slice, marks its recipients in progress
and reads what a message needs, commits, marks them successful, closes the slice, counts on the job and in the hour's
sums, and commits. Tables, indexes, server and number of processes are Muster's. One process plans first and then
delivers; the others deliver from the first page on. It cannot retry, pause, exclude, fence off a second worker or say
what was on the wire when it died: the distance between it and Muster is what those cost.
"""

from __future__ import annotations

import multiprocessing
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import psycopg

from bench.meter import cpu_seconds

if TYPE_CHECKING:
    from bench.ground import Ground

__all__ = ["RawRun", "deliver"]

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
    SELECT number, count(*), (array_agg(id ORDER BY id DESC))[1] FROM page GROUP BY number ORDER BY number
"""
_CUT = """
    INSERT INTO slice (org_id, campaign_id, job_id, number, state, size, due_at, target_id, lease_epoch, in_progress,
        success, failed, cancelled)
    VALUES (%s, %s, %s, %s, 'ready', %s, now(), %s, 0, 0, 0, 0, 0)
"""
_COUNT_PLANNED = (
    "UPDATE job SET total = total + %s, slices_total = slices_total + %s, planned = %s WHERE id = %s"
)
_TAKE = """
    UPDATE slice SET state = 'leased', lease_epoch = lease_epoch + 1, lease_expires_at = now() + interval '30 s',
        woken_at = now()
    WHERE job_id = %(job_id)s AND number = (
        SELECT number FROM slice WHERE job_id = %(job_id)s AND state = 'ready'
        ORDER BY due_at, number LIMIT 1 FOR UPDATE SKIP LOCKED
    ) RETURNING number
"""
_CLAIM = """
    UPDATE recipient SET automation_status = 'in_progress', execution_id = gen_random_uuid(), attempt = attempt + 1,
        in_flight = true, updated_at = now()
    FROM entity
    WHERE job_id = %s AND slice_number = %s AND entity.id = entity_id
    RETURNING entity_id, execution_id, attributes
"""
_SETTLE = """
    UPDATE recipient SET automation_status = 'success', in_flight = false, sent_at = now(), updated_at = now()
    WHERE job_id = %s AND slice_number = %s
"""
_CLOSE = """
    UPDATE slice SET state = 'done', lease_expires_at = NULL, woken_at = NULL, success = size, success_folded = size
    WHERE job_id = %s AND number = %s
"""
_COUNT = (
    "UPDATE job SET success = success + %s, slices_done = slices_done + 1, updated_at = now() WHERE id = %s"
)
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


@dataclass(frozen=True)
class RawRun:
    """What was measured."""

    size: int
    seconds: float
    cpu_seconds: float
    """Processor time of the program and of PostgreSQL."""

    @property
    def rate(self) -> float:
        """Recipients a second."""
        return self.size / self.seconds

    @property
    def cpu(self) -> float:
        """Microseconds of processor time a recipient."""
        return self.cpu_seconds / self.size * 1e6


def deliver(
    ground: Ground, database_url: str, org_id: UUID, campaign_id: UUID, size: int, *, processes: int
) -> RawRun:
    """Write it all and say how long it took; starting the processes does not count.

    Raises:
        RuntimeError: not every recipient ended in success.
    """
    url = database_url.replace("+psycopg", "")
    job_id = uuid4()
    with psycopg.connect(url) as connection:
        connection.execute(_JOB, (job_id, org_id, campaign_id))
    context = multiprocessing.get_context("spawn")
    gate = context.Barrier(processes + 1)
    spent = context.Queue()
    started = [
        context.Process(target=_run, args=(url, org_id, campaign_id, job_id, number == 0, gate, spent))
        for number in range(processes)
    ]
    for process in started:
        process.start()
    before = cpu_seconds(ground.postgres)
    gate.wait()
    begun = time.monotonic()
    own = sum(spent.get() for _ in started)
    seconds = time.monotonic() - begun
    server = cpu_seconds(ground.postgres) - before
    for process in started:
        process.join()
    with psycopg.connect(url) as connection:
        counted = connection.execute("SELECT total, success FROM job WHERE id = %s", (job_id,)).fetchone()
    if counted != (size, size):
        raise RuntimeError(f"{size} recipients, and the job counts {counted}")
    return RawRun(size, seconds, own + server)


def _run(url: str, org_id: UUID, campaign_id: UUID, job_id: UUID, plans: bool, gate: Any, spent: Any) -> None:
    """One process."""
    with psycopg.connect(url) as connection:
        connection.commit()
        gate.wait()
        before = time.process_time()
        place = connection.execute(_PLACE, (campaign_id,)).fetchone()
        assert place is not None
        names = {"org_id": org_id, "campaign_id": campaign_id, "job_id": job_id}
        names |= {"touchpoint_id": place[0], "target_id": place[1]}
        if plans:
            _plan(connection, names)
        while _slice(connection, names) or not _planned(connection, job_id):
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


def _plan(connection: psycopg.Connection[Any], names: dict[str, UUID]) -> None:
    after, first = UUID(int=0), 0
    org_id, job_id, target_id = names["org_id"], names["job_id"], names["target_id"]
    while True:
        slices = connection.execute(_PLAN, {**names, "first": first, "after": after}).fetchall()
        size = sum(count for _, count, _ in slices)
        with connection.cursor() as cursor:
            cursor.executemany(
                _CUT,
                [
                    (org_id, names["campaign_id"], job_id, number, count, target_id)
                    for number, count, _ in slices
                ],
            )
        connection.execute(_COUNT_PLANNED, (size, len(slices), size < _PAGE, job_id))
        connection.commit()
        if size < _PAGE:
            return
        first += size // _SLICE
        after = slices[-1][2]


def _slice(connection: psycopg.Connection[Any], names: dict[str, UUID]) -> bool:
    """Deliver one slice; False when none is ready."""
    job_id = names["job_id"]
    taken = connection.execute(_TAKE, {"job_id": job_id}).fetchone()
    if taken is None:
        connection.commit()
        return False
    number = taken[0]
    claimed = connection.execute(_CLAIM, (job_id, number)).fetchall()
    connection.commit()
    connection.execute(_SETTLE, (job_id, number))
    connection.execute(_CLOSE, (job_id, number))
    connection.execute(_COUNT, (len(claimed), job_id))
    connection.execute(_SUM, {**names, "sent": len(claimed)})
    connection.commit()
    return True
