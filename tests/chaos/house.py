"""Servers and processes that several fault tests use one after the other, because starting them takes longer than most
faults.

A house is condemned when a test fails in it: the next test gets another. Before each test, what an earlier one killed
is started again.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from config.settings import Settings
from engine.kernel.runtime import Runtime
from tests.harness.rabbitmq import RabbitMQ
from tests.harness.stack import Stack
from tests.servers.far_host import FarHost
from tests.servers.proxy import Proxy

if TYPE_CHECKING:
    from pathlib import Path

    from tests.harness.process import Process

__all__ = ["GRACE", "LEASE", "QUICK", "SIZE", "SWEEP", "THREADS", "WAVE", "House", "Kind"]

QUICK = os.environ.get("MUSTER_CHAOS_QUICK") == "1"
"""Fewer recipients in smaller slices; the same faults and, relative to them, the same bounds."""
SIZE = 2_000 if QUICK else 20_000
SLICE = 100 if QUICK else 500
WAVE = 25 if QUICK else 100
THREADS = 4
LEASE = timedelta(seconds=2 if QUICK else 3)
SWEEP = timedelta(seconds=0.5 if QUICK else 1)
GRACE = timedelta(seconds=10)
SILENCE = {
    "connect_timeout": 2,
    "tcp_user_timeout": 1000,
    "keepalives_idle": 1,
    "keepalives_interval": 1,
    "keepalives_count": 1,
}
"""When a host counts as gone: within a lease, as the defaults are within a lease of the default length."""

_ENVIRONMENT = {
    "MUSTER_LEASE": str(LEASE.total_seconds()),
    "MUSTER_SWEEP_INTERVAL": str(SWEEP.total_seconds()),
    "MUSTER_SHUTDOWN_GRACE": str(GRACE.total_seconds()),
    "MUSTER_WORKER_THREADS": str(THREADS),
    "MUSTER_WAVE_SIZE": str(WAVE),
    "MUSTER_SLICE_SIZE": str(SLICE),
}


class Kind(Enum):
    """What stands between Muster and its servers."""

    PLAIN = "nothing; the broker is Redis"
    PROXIED = "a proxy before PostgreSQL; the broker is Redis"
    RABBITMQ = "a proxy before RabbitMQ, which is the broker"
    FAR = "another host before PostgreSQL; the broker is Redis"


class House:
    """A stack, and a proxy.

    Args:
        directory: For the logs.
        kind: What `proxy`, or `far_host`, leads to.
    """

    def __init__(self, directory: Path, kind: Kind = Kind.PLAIN) -> None:
        self.kind = kind
        self.stack = Stack(directory, workers=0, scheduler=False, smtp=False, env=_ENVIRONMENT)
        self.condemned = False
        self._parts = ExitStack()

    def open(self) -> None:
        """Start the servers."""
        postgres, env = self.stack.postgres, self.stack.env
        rabbitmq = self._parts.enter_context(RabbitMQ()) if self.kind is Kind.RABBITMQ else None
        self._parts.enter_context(self.stack)
        self.proxy = self._parts.enter_context(Proxy(rabbitmq.port if rabbitmq else postgres.port))
        if self.kind is Kind.FAR:
            self.far_host = self._parts.enter_context(FarHost(postgres.port))
            where = f"{self.far_host.address}:{self.far_host.port}"
            url = postgres.url.replace(f"127.0.0.1:{postgres.port}", where)
            env["MUSTER_DATABASE_URL"] = f"{url}?{urlencode(SILENCE)}"
        if self.kind is Kind.PROXIED:
            env["MUSTER_DATABASE_URL"] = postgres.url_on(self.proxy.port)
        if rabbitmq:
            env["MUSTER_BROKER_URL"] = rabbitmq.url_on(self.proxy.port)
        self.runtime = Runtime(
            Settings(
                database_url=postgres.url,
                redis_url=self.stack.redis.url,
                broker_url=env.get("MUSTER_BROKER_URL"),
                lease=LEASE,
                sweep_interval=SWEEP,
            ),
            database=self.stack.database,
        )
        self._parts.callback(self.runtime.wakeups.close)

    def close(self) -> None:
        """End everything."""
        self._parts.close()

    def workers(self) -> list[Process]:
        """Those that run."""
        return [worker for worker in self.stack.workers if worker.alive]

    def schedulers(self) -> list[Process]:
        """Those that run."""
        return [scheduler for scheduler in self.stack.schedulers if scheduler.alive]

    def man(self, *, workers: int = 2, schedulers: int = 1) -> None:
        """See to it that so many of each run, healthy ones; returns when they do."""
        begun = [self.stack.begin_worker() for _ in range(workers - len(self.workers()))]
        begun += [self.stack.begin_scheduler() for _ in range(schedulers - len(self.schedulers()))]
        surplus = self.workers()[workers:] + self.schedulers()[schedulers:]
        for process in surplus:
            process.terminate()
        for process in surplus:
            process.wait(GRACE.total_seconds() + 5)
        self.stack.wait_started(*begun)

    def show(self) -> None:
        """Print the end of every log."""
        for child in self.stack.children:
            print(child.tail())  # noqa: T201 - pytest shows it with the failure
