"""The embedded form: worker, scheduler and broker in one process over SQLite, nothing installed beside it."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from sqlalchemy import insert, select

from actors.services import Embedded
from bench.conditions import load
from bench.results import Aim, Result
from bench.seeding import Sending, seed_campaign
from config.settings import Settings
from engine.campaigns import lifecycle
from state.change import clock_of
from state.database import Database
from state.migrate import upgrade
from state.tables import Entity, Job, Organization
from state.transitions import JobStatus
from tests.harness.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from bench.scale import Scale

__all__ = ["run"]

_DEADLINE = 600.0
_LOOK = 0.05


def run(scale: Scale, directory: Path) -> list[Result]:
    """Recipients a second over the `null` channel, from the commit of the activation to the end of the job."""
    size = scale.embedded
    rounds = [_deliver(directory / str(number), size) for number in range(scale.repeats)]
    rate = median(rate for rate, _ in rounds)
    print(f"  embedded: {rate:,.0f}/s; load {load()}")
    aim: Aim = {"at_least": 10_000.0} if scale.kept else {}
    return [
        Result.alone(f"embedded.rate.{size}", rate, "recipients/s", **aim),
        Result.alone(f"embedded.cpu.{size}", median(cost for _, cost in rounds), "µs/recipient"),
    ]


def _deliver(folder: Path, size: int) -> tuple[float, float]:
    """Recipients a second, and microseconds of this process a recipient."""
    folder.mkdir()
    settings = Settings(_env_file=None, data_dir=folder).embedded()
    upgrade(settings.database_url)
    database = Database(settings.database_url)
    with database.begin() as session:
        organization = Organization(id=uuid4(), name="bench", created_at=clock_of(session).now())
        session.add(organization)
        session.flush()
        campaign_id = seed_campaign(session, organization.id, Sending())
        session.execute(insert(Entity), _people(organization.id, size, clock_of(session).now()))
    database.close()
    embedded = Embedded(settings)
    embedded.start()
    try:
        with embedded.runtime.transaction() as session:
            job = lifecycle.activate(session, organization.id, campaign_id, window=settings.window)
            assert job is not None
        started, spent = time.monotonic(), time.process_time()
        wait_until(
            lambda: _job(embedded, job.id).status == JobStatus.FINISHED,
            "the job is finished",
            deadline=_DEADLINE,
            interval=_LOOK,
        )
        seconds, cost = time.monotonic() - started, time.process_time() - spent
        counted = _job(embedded, job.id).success
    finally:
        embedded.stop()
    if counted != size:
        raise RuntimeError(f"{size} recipients, and the job counts {counted}")
    return size / seconds, cost / size * 1e6


def _job(embedded: Embedded, job_id: UUID) -> Any:
    with embedded.runtime.database.read() as session:
        return session.execute(select(Job.status, Job.success).where(Job.id == job_id)).one()


def _people(org_id: UUID, size: int, now: Any) -> list[dict[str, Any]]:
    """As `seeding.seed_people` makes them."""
    return [
        {
            "id": uuid4(),
            "org_id": org_id,
            "schema": "contact",
            "external_id": str(number),
            "title": f"Person {number}",
            "attributes": {
                "email": f"person{number}@example.com",
                "first_name": f"Person{number}",
                "last_name": "Example",
                "city": f"City {number % 100}",
            },
            "created_at": now,
            "updated_at": now,
        }
        for number in range(size)
    ]
