"""All of Muster against servers of its own, as a context manager.

    with Stack(tmp_path, workers=2) as stack:
        campaign_id = stack.seed(make_campaign, size=10_000)
        stack.workers[0].kill()
        stack.wait_for_job(job_id, "finished")
        stack.account(campaign_id, expected=10_000).assert_whole()

Everything listens on 127.0.0.1 on ports of its own. When the block ends all of it is ended, Muster first;
when it ends with an error, the end of every log is printed.
"""

from __future__ import annotations

import base64
import os
import sys
import urllib.request
from contextlib import ExitStack
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Self, TypeVar

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from state.database import Database, is_connection_loss
from state.migrate import upgrade
from state.tables import Job
from tests.harness.account import Account, account
from tests.harness.ports import free_port
from tests.harness.postgres import Postgres
from tests.harness.process import Process
from tests.harness.providers import HttpProvider, SmtpSink
from tests.harness.redis_server import RedisServer
from tests.harness.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from types import TracebackType
    from uuid import UUID

    from sqlalchemy.orm import Session

    from tests.harness.child import Child

__all__ = ["Stack"]

P = ParamSpec("P")
T = TypeVar("T")

_START_DEADLINE = 90.0


class Stack:
    """PostgreSQL, Redis, a mail server, an HTTP provider, and Muster's processes.

    Args:
        directory: For logs and journals; pytest's `tmp_path`.
        workers, scheduler, api: What is started at once; more by `start_worker` and its like.
        smtp, http: Whether those servers are started.
        recognise: The HTTP provider honours idempotency keys.
        aof: Redis keeps an append-only file.
        env: Settings of every process, over the harness's own: `{"MUSTER_LEASE": "2"}`.
    """

    def __init__(
        self,
        directory: Path,
        *,
        workers: int = 1,
        scheduler: bool = True,
        api: bool = False,
        smtp: bool = True,
        http: bool = False,
        recognise: bool = False,
        aof: bool = True,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory
        self.postgres = Postgres()
        self.redis = RedisServer(directory / "redis", aof=aof)
        self.smtp = SmtpSink(directory) if smtp else None
        self.http = HttpProvider(directory, recognise=recognise) if http else None
        self.workers: list[Process] = []
        """All that were started, the dead ones too."""
        self.schedulers: list[Process] = []
        self.api: Process | None = None
        self.api_port = free_port()
        self.env = {
            "MUSTER_DATABASE_URL": self.postgres.url,
            "MUSTER_REDIS_URL": self.redis.url,
            "MUSTER_DATA_DIR": str(directory / "muster-data"),
            "MUSTER_PUBLIC_URL": self.api_url,
            "MUSTER_CHANNEL_ALLOWED_NETWORKS": "127.0.0.0/8",
            "MUSTER_SECRET_KEY": base64.b64encode(os.urandom(32)).decode(),
            **(env or {}),
        }
        """Settings of every process started from now on; a proxy's URL may be put in."""
        self._wanted = (workers, scheduler, api)
        self.children: list[Child] = []
        """Every server and process, in the order they were started."""
        self._parts = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def _start(self) -> None:
        for server in (self.postgres, self.redis, self.smtp, self.http):
            if server is not None:
                self._own(server)
                server.start()
        self.database = Database(self.postgres.url, pool_size=4)
        self._parts.callback(self.database.close)
        upgrade(self.postgres.url)  # what `muster db upgrade` does, without the start of a process
        workers, scheduler, api = self._wanted  # begun together: most of a start is importing
        begun = [self.begin_worker() for _ in range(workers)]
        if scheduler:
            begun.append(self.begin_scheduler())
        if api:
            begun.append(self._begin_api())
        self.wait_started(*begun)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            for child in self.children:
                print(child.tail())  # noqa: T201 - pytest shows it with the failure
        self._parts.close()

    @property
    def scheduler(self) -> Process | None:
        """The one that was started last."""
        return self.schedulers[-1] if self.schedulers else None

    def _own(self, child: Child) -> None:
        """End it with the stack; the last one first, so that Muster does not complain of its servers' end."""
        self.children.append(child)
        self._parts.callback(child.close)

    @property
    def api_url(self) -> str:
        """Where the API listens, if it was started."""
        return f"http://127.0.0.1:{self.api_port}"

    def start(self, *args: str, name: str | None = None, env: Mapping[str, str] | None = None) -> Process:
        """Start `muster args…`; it is ended with the stack at the latest. Does not wait for anything."""
        process = Process(*args, directory=self.directory, name=name, env={**self.env, **(env or {})})
        self._own(process)
        return process.start()

    def start_worker(self, **env: str) -> Process:
        """Start one more worker and wait until it consumes; `env` is its own (MUSTER_TRIGGER)."""
        process = self.begin_worker(**env)
        self.wait_started(process)
        return process

    def start_scheduler(self, **env: str) -> Process:
        """Start one more scheduler and wait until it runs."""
        process = self.begin_scheduler(**env)
        self.wait_started(process)
        return process

    def start_api(self, **env: str) -> Process:
        """Start the API and wait until it serves."""
        process = self._begin_api(**env)
        self.wait_started(process)
        return process

    def begin_worker(self, **env: str) -> Process:
        """Start one more worker without waiting for it."""
        worker = self.start("worker", name=f"worker-{len(self.workers)}", env=env)
        self.workers.append(worker)
        return worker

    def begin_scheduler(self, **env: str) -> Process:
        """Start one more scheduler without waiting for it."""
        scheduler = self.start("scheduler", name=f"scheduler-{len(self.schedulers)}", env=env)
        self.schedulers.append(scheduler)
        return scheduler

    def _begin_api(self, **env: str) -> Process:
        self.api = self.start("api", "--port", str(self.api_port), name="api", env=env)
        return self.api

    def wait_started(self, *processes: Process) -> None:
        """Wait until each of them does what it is for."""
        for process in processes:
            if process is self.api:
                wait_until(self._is_api_up, "the API serves", deadline=_START_DEADLINE)
            else:
                kind = "scheduler" if process in self.schedulers else "worker"
                process.wait_for_log(f"{kind}.started", deadline=_START_DEADLINE)

    def _is_api_up(self) -> bool:
        assert self.api is not None
        if not self.api.alive:
            raise RuntimeError(f"the API ended while starting\n{self.api.tail()}")
        try:
            with urllib.request.urlopen(f"{self.api_url}/health/live", timeout=1):  # noqa: S310 - our own
                return True
        except OSError:
            return False

    def run(self, *args: str, deadline: float = 60.0, env: Mapping[str, str] | None = None) -> str:
        """Run `muster args…` to its end; what it wrote to standard output.

        Raises:
            RuntimeError: its exit code is not 0; the message holds the end of its log.
            TimeoutError: it runs longer than `deadline` seconds.
        """
        process = self.start(*args, name=f"{'-'.join(args[:2])}-{len(self.children)}", env=env)
        if process.wait(deadline) != 0:
            raise RuntimeError(process.tail())
        return process.output()

    def seed(self, function: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function of the engine in this process, in one committed transaction."""
        with self.database.begin() as session:
            return function(session, *args, **kwargs)

    def job_status(self, job_id: UUID) -> str | None:
        """The job's status now; None while the database is away, or when there is no such job."""
        try:
            with self.database.read() as session:
                return session.execute(select(Job.status).where(Job.id == job_id)).scalar_one_or_none()
        except DBAPIError as error:
            if is_connection_loss(error):
                return None
            raise

    def wait_for_job(self, job_id: UUID, *statuses: str, deadline: float = 60.0) -> str:
        """Wait until the job has one of these statuses; database outages are waited through.

        Raises:
            TimeoutError: it has none of them after `deadline` seconds.
        """
        wait_until(
            lambda: self.job_status(job_id) in statuses,
            f"job is {' or '.join(statuses)}",
            deadline=deadline,
            interval=0.1,
        )
        return str(self.job_status(job_id))

    def account(self, campaign_id: UUID, *, expected: int | None = None) -> Account:
        """Take account of a campaign, against the journals of this stack's servers."""
        journals = [server.journal for server in (self.smtp, self.http) if server is not None]
        return account(self.database, *journals, campaign_id=campaign_id, expected=expected)
