"""One campaign delivered by Muster, from its activation to the end of its job, on real processes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import event, exists, select

from bench.ground import WORKERS
from bench.meter import Footprint, Memory, Run, cpu_seconds
from config.settings import Settings
from engine.campaigns import lifecycle
from engine.insight.statistics import statistics
from engine.kernel.runtime import Runtime
from state.tables import Job, Slice
from state.transitions import JobStatus
from tests.harness.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from bench.ground import Ground

__all__ = ["MusterRun", "deliver"]

_DEADLINE = 1800.0
#: Seconds between two looks whether the job is finished, a recipient; looking takes time from working.
_LOOK = 5e-7


@dataclass(frozen=True, kw_only=True)
class MusterRun(Run):
    """What was measured: from the commit of the activation until the job is finished, its report included. The
    program's processor time is the workers'.
    """

    first: float
    """Seconds until the first recipient's success is committed."""
    peak_worker: float
    """MiB of the largest worker."""
    peak_redis: float
    """MiB."""
    samples: list[tuple[float, list[float], float]]
    statements: int
    """That reading the campaign's statistics takes afterwards."""


def deliver(
    ground: Ground,
    database_url: str,
    org_id: UUID,
    campaign_id: UUID,
    size: int,
    *,
    settings: Mapping[str, str] | None = None,
    worker: str = "actors.cli",
) -> MusterRun:
    """Activate the campaign with fresh workers and wait for the end.

    Args:
        worker: The module that they run.

    Raises:
        RuntimeError: not every recipient ended in success.
    """
    ground.redis.flushall()
    env = {**ground.environment(database_url), **(settings or {})}
    workers = [ground.start("worker", env, module=worker) for _ in range(WORKERS)]
    scheduler = ground.start("scheduler", env)
    runtime = Runtime(
        Settings(_env_file=None, database_url=database_url, redis_url=ground.redis.url, database_pool=2)
    )
    try:
        with Memory(workers, ground.redis) as memory:
            footprint = Footprint(ground.postgres, database_url.replace("+psycopg", ""), "recipient")
            before = cpu_seconds(*workers), cpu_seconds(ground.redis)
            with runtime.transaction() as session:
                job = lifecycle.activate(session, org_id, campaign_id, window=runtime.settings.window)
                assert job is not None
            started = time.monotonic()
            wait_until(lambda: _has_success(runtime, job.id), "somebody has it", interval=0.005, deadline=60)
            first = time.monotonic() - started
            wait_until(
                lambda: _status(runtime, job.id) == JobStatus.FINISHED,
                "the job is finished",
                interval=min(0.2, size * _LOOK),
                deadline=_DEADLINE,
            )
            seconds = time.monotonic() - started
            after = cpu_seconds(*workers), cpu_seconds(ground.redis)
            database_cpu, wal, table = footprint.taken()
        _check(runtime, job.id, size)
        statements = _read_statistics(runtime, org_id, campaign_id, size)
    finally:
        runtime.close()
        for process in [*workers, scheduler]:
            process.terminate()
            process.wait(30)
    return MusterRun(
        size=size,
        seconds=seconds,
        first=first,
        program_cpu=after[0] - before[0],
        broker_cpu=after[1] - before[1],
        database_cpu=database_cpu,
        wal=wal,
        table=table,
        peak_worker=memory.peak_worker,
        peak_redis=memory.peak_redis,
        samples=memory.samples,
        statements=statements,
    )


def _has_success(runtime: Runtime, job_id: UUID) -> bool:
    """Looks at the counters, which the transaction that settles a recipient changes with it."""
    settled = exists().where(Slice.job_id == job_id, Slice.success > 0)
    folded = exists().where(Job.id == job_id, Job.success > 0)
    with runtime.database.read() as session:
        return bool(session.execute(select(settled | folded)).scalar_one())


def _status(runtime: Runtime, job_id: UUID) -> str:
    with runtime.database.read() as session:
        return session.execute(select(Job.status).where(Job.id == job_id)).scalar_one()


def _read_statistics(runtime: Runtime, org_id: UUID, campaign_id: UUID, size: int) -> int:
    """Read them all; returns how many statements that took."""
    seen: list[str] = []

    def note(*given: Any) -> None:
        seen.append(given[2])

    event.listen(runtime.database.engine, "before_cursor_execute", note)
    try:
        with runtime.database.read() as session:
            found = statistics(session, org_id, campaign_id)
    finally:
        event.remove(runtime.database.engine, "before_cursor_execute", note)
    if found.overview.sent != size:
        raise RuntimeError(f"{size} were sent, and the statistics say {found.overview.sent}")
    return len(seen)


def _check(runtime: Runtime, job_id: UUID, size: int) -> None:
    with runtime.database.read() as session:
        job = session.execute(select(Job).where(Job.id == job_id)).scalar_one()
    if (job.total, job.success, (job.report or {})["counts"]["success"]) != (size, size, size):
        raise RuntimeError(f"{size} recipients, and the job counts {job.success} of {job.total}")
