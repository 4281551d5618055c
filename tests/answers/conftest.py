"""A bench whose channel is a real one, to a server in a process of its own that answers as a provider does."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest

from actors.context import Context
from actors.registry import ACTORS
from engine.channels import registry
from engine.delivery.lease import Executor
from engine.insight.waiting import Waiting, situation_of, waiting_of
from engine.limits.context import LimitContext
from engine.limits.redis_buckets import RedisBuckets
from state.tables import Campaign, Job
from tests.channels.http_rig import LOOPBACK
from tests.conftest import ManualClock
from tests.delivery.kit import Bench
from tests.harness.answering import AnsweringProvider
from tests.harness.sweeping import sweep
from tests.servers.postfix import Postfix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from uuid import UUID

    from state.database import Database


class MovableClock(ManualClock):
    """Goes with the time, and can be moved on."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def forward(self, **by: float) -> datetime:
        self.ahead += timedelta(**by)
        return self.now()


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


class ProviderBench(Bench):
    """Everybody is sent to over SMTP or HTTP, by a worker of one thread."""

    def __init__(self, database: Database, org_id: UUID) -> None:
        super().__init__(database, org_id)
        self._servers: list[AnsweringProvider | Postfix] = []

    def new_executor(self) -> Executor:
        """A worker as after a restart; it waits for permits as the time passes."""
        clock: Any = self.database.clock
        buckets = RedisBuckets("embedded://", now=lambda: clock.now().timestamp() * 1000)
        context = LimitContext(self.settings, buckets=buckets)
        return Executor(self.runtime, self.senders, self.loop, limit_context=context)  # type: ignore[arg-type]

    def provider(self, **rules: Any) -> Callable[[], dict[str, Any]]:
        """Start a provider and send through it from now on; returns what tells what it took."""
        server = AnsweringProvider(**rules)
        self._servers.append(server)
        kind, settings = (
            ("http", _api(server.port)) if "http" in rules else ("smtp", _mail_server(server.port))
        )
        self.senders.channel = registry.build(kind, settings, {}, LOOPBACK)  # type: ignore[assignment]
        return server.told

    def postfix(self, *, messages: int, unit: int) -> Callable[[], dict[str, Any]]:
        """The same with a real Postfix that takes so many messages in so many seconds."""
        server = Postfix(messages=messages, unit=unit)
        self._servers.append(server)
        self.senders.channel = registry.build("smtp", _mail_server(server.port), {}, LOOPBACK)  # type: ignore[assignment]
        return server.told

    def people(self, count: int, *, domains: int) -> list[str]:
        """Recipients in so many mail domains; returns their addresses."""
        addresses = [f"p{i}@d{i % domains}.example" for i in range(count)]
        for address in addresses:
            self.entities(1, email=address)
        return addresses

    def run_until(self, done: Callable[[], bool], *, step: float = 0, rounds: int = 3000) -> None:
        """Sweep and work until `done`; between two rounds a moment passes, and the clock moves on by `step` seconds."""
        for _ in range(rounds):
            self.sweep_and_work()
            if done():
                return
            if step:
                self.clock.forward(seconds=step)
            Event().wait(0.02)
        raise AssertionError(f"it did not happen: {self.statuses()}")

    def run_as_a_worker(self, done: Callable[[], bool], *, threads: int = 8) -> None:
        """The same as a worker process does it, with so many threads, while somebody sweeps."""
        stop = Event()
        context = Context(self.runtime, self.executor, self.dispatcher)

        def work() -> None:
            while not stop.is_set():
                try:
                    command = self.wakeups.sent.pop(0)
                except IndexError:
                    stop.wait(0.02)
                else:
                    ACTORS[type(command)](context, command)

        with ThreadPoolExecutor(threads) as pool:
            workers = [pool.submit(work) for _ in range(threads)]
            try:
                while not done() and not any(worker.done() for worker in workers):
                    sweep(self.runtime)
                    stop.wait(0.1)
            finally:
                stop.set()
        for worker in workers:
            worker.result()

    def is_over(self) -> bool:
        """Whether no job has anything left to do."""
        with self.database.read() as session:
            open_jobs = session.query(Job).filter(Job.status.in_(("queued", "processing", "send_report")))
            return open_jobs.first() is None

    def waiting(self, campaign_id: UUID) -> dict[str, Waiting]:
        """What the campaign waits for, by code."""
        with self.database.read() as session:
            campaign = session.get_one(Campaign, campaign_id)
            return {one.code: one for one in waiting_of(session, situation_of(session, campaign))}

    def close(self) -> None:
        self.loop.submit(self.senders.channel.close()).result(timeout=10)
        for server in self._servers:
            server.close()
        super().close()


def _mail_server(port: int) -> dict[str, Any]:
    return {
        "host": "127.0.0.1",
        "port": port,
        "security": "none",
        "from_email": "news@shop.example",
        "helo": "client.example",
    }


def _api(port: int) -> dict[str, Any]:
    return {
        "url": f"http://127.0.0.1:{port}/send",
        "medium": "email",
        "body": {"to": "{{ message.address }}", "text": "{{ message.text }}"},
    }


@pytest.fixture
def bench(database: Database, org_id: UUID) -> Iterator[ProviderBench]:
    bench = ProviderBench(database, org_id)
    yield bench
    bench.close()
