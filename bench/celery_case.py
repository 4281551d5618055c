"""Muster beside one Celery message a recipient, on the same server and with as many processes."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import psycopg

from bench import muster_run
from bench.ground import WORKERS, Ground
from bench.results import Result
from bench.seeding import seed
from state.database import Database
from tests.harness.child import Child
from tests.harness.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from bench.scale import Scale

__all__ = ["run"]


def run(scale: Scale, directory: Path) -> list[Result]:
    """Recipients a second of both, everything included."""
    if find_spec("celery") is None:
        print("  celery is not installed (it is in the dependency group dev): nothing to compare with")
        return []
    size = scale.celery
    with Ground(directory) as ground:
        url = ground.create_seed()
        database = Database(url)
        org_id, campaign_id = seed(database, size)
        database.close()
        muster = muster_run.deliver(ground, ground.copy_seed("run"), org_id, campaign_id, size)
        celery = _celery(ground, ground.copy_seed("run").replace("+psycopg", ""), org_id, campaign_id, size)
    return [Result.compared(f"celery.rate.{size}", muster.rate, "recipients/s", celery)]


def _celery(ground: Ground, url: str, org_id: UUID, campaign_id: UUID, size: int) -> float:
    """Recipients a second: written, sent as messages, and delivered."""
    ground.redis.flushall()
    env = {"BENCH_DATABASE_URL": url, "BENCH_REDIS_URL": ground.redis.url}
    command = [sys.executable, "-m", "celery", "-A", "bench.celery_app", "worker", "-P", "solo", "-l", "INFO"]
    command += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    with ExitStack() as ended:
        for number in range(WORKERS):
            name = f"celery-{number}"
            worker = Child(name, [*command, "-n", f"{name}@bench"], directory=ground.directory, env=env)
            ended.callback(worker.close)
            worker.start()
            wait_until(partial(_is_ready, worker), "Celery is ready", deadline=60)
        with psycopg.connect(url, autocommit=True) as connection:
            started = time.monotonic()
            _send(connection, org_id, campaign_id, ground.redis.url)
            wait_until(
                lambda: _delivered(connection, campaign_id) == size,
                "Celery has delivered",
                deadline=600,
                interval=0.1,
            )
            return size / (time.monotonic() - started)


def _is_ready(worker: Child) -> bool:
    return "ready." in worker.err.read_text()


def _send(
    connection: psycopg.Connection[tuple[object, ...]], org_id: UUID, campaign_id: UUID, broker: str
) -> None:
    from bench.celery_app import app, deliver  # noqa: PLC0415 - celery is imported by those who measure it

    connection.execute(
        "INSERT INTO recipient (campaign_id, entity_id, org_id, entity_schema, title, job_id, slice_number, "
        "automation_status, attempt, in_flight, created_at, updated_at) "
        "SELECT %s, id, org_id, schema, title, %s, 0, 'pending', 0, false, now(), now() FROM entity "
        "WHERE org_id = %s",
        (campaign_id, uuid4(), org_id),
    )
    ids = connection.execute("SELECT entity_id FROM recipient WHERE campaign_id = %s", (campaign_id,))
    app.conf.broker_url = broker
    with app.producer_pool.acquire(block=True) as producer:
        for (entity_id,) in ids:
            deliver.apply_async((str(campaign_id), str(entity_id)), producer=producer)


def _delivered(connection: psycopg.Connection[tuple[object, ...]], campaign_id: UUID) -> object:
    counted = connection.execute(
        "SELECT count(*) FROM recipient WHERE campaign_id = %s AND automation_status = 'success'",
        (campaign_id,),
    ).fetchone()
    assert counted is not None
    return counted[0]
