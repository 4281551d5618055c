"""One campaign delivered by a peer: its workers are started and wait, then it is planned, enqueued and worked off."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING

import psycopg

from bench.baselines.tables import create_tables
from bench.meter import Footprint, Run, cpu_seconds
from bench.peers.sending import END, READY, START
from tests.harness.child import Child, clean_environment
from tests.harness.waiting import wait_until

if TYPE_CHECKING:
    from uuid import UUID

    from bench.ground import Ground
    from bench.peers.lineup import Peer, Setting

__all__ = ["deliver"]

_DEADLINE = 900.0
_LOOK = 0.2


def deliver(
    ground: Ground,
    peer: Peer,
    setting: Setting,
    database_url: str,
    org_id: UUID,
    campaign_id: UUID,
    size: int,
) -> Run:
    """From the moment that the sender may begin to the last outcome, by PostgreSQL's clock.

    The program's processor time is the workers' and the sender's.

    Args:
        database_url: Of a fresh copy of the seeded database.

    Raises:
        RuntimeError: the sender or a worker ended.
        TimeoutError: not everybody has an outcome.
    """
    ground.redis.flushall()
    url = create_tables(database_url.replace("+psycopg", ""), "lean")
    env = {
        "BENCH_DATABASE_URL": url,
        "BENCH_REDIS_URL": ground.redis.url,
        "BENCH_CAMPAIGN_ID": str(campaign_id),
        "BENCH_ORG_ID": str(org_id),
        "RQ_REDIS_URL": ground.redis.url,
        **setting.env,
    }
    if peer.prepare is not None:
        subprocess.run(peer.prepare, env=clean_environment(env), check=True, capture_output=True)
    with ExitStack() as ended:
        connection = ended.enter_context(psycopg.connect(url, autocommit=True))
        connection.execute("SELECT pg_advisory_lock(%s), pg_advisory_lock(%s)", (START, END))
        commands = [*setting.workers, peer.sender]
        children = [
            ended.enter_context(
                Child(f"{peer.name}-{ground.number()}", command, directory=ground.directory, env=env)
            )
            for command in commands
        ]
        workers, sender = children[:-1], children[-1]
        _wait_for(workers, peer.says_ready, setting.ready)
        _wait_for([sender], READY, 1)
        footprint = Footprint(ground.postgres, url, "lean.recipient")
        before = cpu_seconds(*children), cpu_seconds(ground.redis)
        began = _clock(connection)
        connection.execute("SELECT pg_advisory_unlock(%s)", (START,))
        wait_until(
            lambda: _is_delivered(connection, children, size),
            f"{peer.name} has delivered",
            deadline=_DEADLINE,
            interval=_LOOK,
        )
        after = cpu_seconds(*children), cpu_seconds(ground.redis)
        database_cpu, wal, table = footprint.taken()
        return Run(
            size=size,
            seconds=_clock(connection, "max(sent_at)", "FROM recipient") - began,
            program_cpu=after[0] - before[0],
            broker_cpu=after[1] - before[1],
            database_cpu=database_cpu,
            wal=wal,
            table=table,
        )


def _wait_for(children: list[Child], text: str, times: int) -> None:
    """Until they have written it that many times, all together."""

    def written() -> bool:
        for child in children:
            if not child.alive:
                raise RuntimeError(child.tail())
        logs = [path.read_text() for child in children for path in (child.out, child.err) if path.exists()]
        return sum(log.count(text) for log in logs) >= times

    wait_until(written, f"{children[0].name} says {text!r}", deadline=60)


def _clock(
    connection: psycopg.Connection[tuple[float]], moment: str = "clock_timestamp()", source: str = ""
) -> float:
    row = connection.execute(f"SELECT extract(epoch FROM {moment})::float {source}".encode()).fetchone()
    assert row is not None
    return row[0]


def _is_delivered(connection: psycopg.Connection[tuple[float]], children: list[Child], size: int) -> bool:
    for child in children:
        if not child.alive:
            raise RuntimeError(child.tail())
    row = connection.execute("SELECT count(*) FROM recipient WHERE automation_status = 'success'").fetchone()
    assert row is not None
    return row[0] == size
