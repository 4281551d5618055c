"""Steering and looking on while a campaign is delivered at full speed.

How long after a pause is committed the last outcome is; and what two requests take that every console and every
client repeats, the job's status and the first page of recipients, over the API: under delivery, and while nothing is
delivered.
"""

from __future__ import annotations

import http.client
import time
from contextlib import ExitStack
from statistics import median, quantiles
from typing import TYPE_CHECKING
from urllib.request import urlopen

from sqlalchemy import func, select

from bench.conditions import load
from bench.ground import WORKERS, Ground
from bench.results import Result
from bench.seeding import seed
from config.settings import Settings
from engine.authentication.api_keys import create_key
from engine.campaigns import lifecycle
from engine.kernel.runtime import Runtime
from state.database import Database
from state.tables import Campaign, Job, Slice
from state.transitions import CampaignStatus, JobStatus
from tests.harness.ports import free_port
from tests.harness.process import Process
from tests.harness.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from uuid import UUID

    from bench.scale import Scale

__all__ = ["run"]

#: Seconds between two looks at the counters, and for how long they stand still before nothing more comes.
_LOOK = 0.002
_STILL = 0.5
#: Of the campaign, what is delivered between all pauses; the rest is there to be read about while it is delivered.
_PAUSED_SHARE = 1 / 3


def run(scale: Scale, directory: Path) -> list[Result]:
    """Milliseconds from a pause to the last outcome, and of the two requests."""
    with Ground(directory) as ground, ExitStack() as ended:
        database = Database(ground.create_seed())
        org_id, campaign_id = seed(database, scale.steered)
        database.close()
        url = ground.copy_seed("run")
        env = ground.environment(url)
        runtime = Runtime(Settings(_env_file=None, database_url=url, redis_url=ground.redis.url))
        ended.callback(runtime.close)
        with runtime.transaction() as session:
            _, key = create_key(session, org_id, "bench", "viewer")
        for kind in (*["worker"] * WORKERS, "scheduler"):
            ground.start(kind, env)
        api = _Api(ended, directory, env, key, campaign_id)
        with runtime.transaction() as session:
            job = lifecycle.activate(session, org_id, campaign_id, window=runtime.settings.window)
            assert job is not None
        between = int(scale.steered * _PAUSED_SHARE / scale.pauses)
        campaign = _Campaign(runtime, org_id, campaign_id, job.id)
        pauses = [campaign.pause(after=between) for _ in range(scale.pauses)]
        idle = api.times(scale.requests)
        campaign.resume()
        busy = api.times(scale.requests, until=campaign.is_finished)
    print(f"  {len(pauses)} pauses; load {load()}")
    worst = _p99(pauses)
    found = [
        Result.alone("steering.pause.median", median(pauses), "ms"),
        Result.alone("steering.pause.p99", worst, "ms"),
    ]
    for what in busy:
        found += [
            Result.compared(f"reading.{what}.median", median(busy[what]), "ms", median(idle[what])),
            Result.compared(f"reading.{what}.p99", _p99(busy[what]), "ms", _p99(idle[what])),
        ]
    return found


def _p99(values: Sequence[float]) -> float:
    return quantiles(values, n=100, method="inclusive")[98] if len(values) > 1 else values[0]


class _Campaign:
    """The one that is delivered."""

    def __init__(self, runtime: Runtime, org_id: UUID, campaign_id: UUID, job_id: UUID) -> None:
        self._runtime = runtime
        self._ids = (org_id, campaign_id)
        self._job_id = job_id

    def pause(self, *, after: int) -> float:
        """Milliseconds from a pause to the last outcome after it. Resumed before, where it is paused.

        Args:
            after: Recipients that are delivered first, so that the pause meets full speed.

        Raises:
            RuntimeError: it ended before.
        """
        self.resume()
        before = self._delivered()
        wait_until(
            lambda: self._delivered() >= before + after or self.is_finished(),
            "the campaign is delivered",
            deadline=120,
            interval=0.01,
        )
        if self.is_finished():
            raise RuntimeError("the campaign ended before it could be paused as often as wanted")
        with self._runtime.transaction() as session:
            lifecycle.pause(session, *self._ids)
        committed = last = time.monotonic()
        known = self._delivered()

        def stands_still() -> bool:
            nonlocal known, last
            now, delivered = time.monotonic(), self._delivered()
            if delivered != known:
                known, last = delivered, now
            return now - last >= _STILL

        wait_until(stands_still, "nothing more comes", deadline=120, interval=_LOOK)
        return (last - committed) * 1000

    def resume(self) -> None:
        """Go on after a pause; nothing where it is not paused."""
        with self._runtime.transaction() as session:
            status = session.execute(select(Campaign.status).where(Campaign.id == self._ids[1])).scalar_one()
            if status == CampaignStatus.PAUSED:
                lifecycle.resume(session, *self._ids, window=self._runtime.settings.window)

    def _delivered(self) -> int:
        with self._runtime.database.read() as session:
            return session.execute(
                select(func.coalesce(func.sum(Slice.success), 0)).where(Slice.job_id == self._job_id)
            ).scalar_one()

    def is_finished(self) -> bool:
        """Whether there is nothing more to deliver."""
        with self._runtime.database.read() as session:
            status = session.execute(select(Job.status).where(Job.id == self._job_id)).scalar_one()
        return bool(status == JobStatus.FINISHED)


class _Api:
    """A `muster api` and one client that asks it over one connection."""

    def __init__(
        self, ended: ExitStack, directory: Path, env: dict[str, str], key: str, campaign_id: UUID
    ) -> None:
        port = free_port()
        process = Process("api", "--port", str(port), directory=directory, env=env)
        ended.callback(process.close)
        process.start()
        wait_until(lambda: _serves(port, process), "the API serves", deadline=60)
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        ended.callback(self._connection.close)
        self._headers = {"Authorization": f"Bearer {key}"}
        self._paths = {
            "job": f"/v1/campaign/{campaign_id}/job",
            "recipients": f"/v1/campaign/{campaign_id}/recipients?limit=25",
        }

    def times(self, count: int, *, until: Callable[[], bool] = lambda: False) -> dict[str, list[float]]:
        """Milliseconds of each of so many requests of either kind, taking turns; fewer when `until` is true before."""
        found: dict[str, list[float]] = {what: [] for what in self._paths}
        for _ in range(count):
            if found["job"] and until():
                break
            for what, path in self._paths.items():
                started = time.monotonic()
                self._connection.request("GET", path, headers=self._headers)
                answer = self._connection.getresponse()
                body = answer.read()
                if answer.status != http.client.OK:
                    raise RuntimeError(f"{path}: {answer.status} {body[:200]!r}")
                found[what].append((time.monotonic() - started) * 1000)
        return found


def _serves(port: int, process: Process) -> bool:
    if not process.alive:
        raise RuntimeError(process.tail())
    try:
        with urlopen(f"http://127.0.0.1:{port}/health/live", timeout=1):
            return True
    except OSError:
        return False
