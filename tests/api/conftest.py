"""A real server in this process, over the test's database, and clients with keys of every role."""

from __future__ import annotations

import asyncio
import atexit
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import uvicorn

from config.settings import Settings
from engine.api.app import create_app
from engine.api.connections import LimitedConnection
from engine.authentication.api_keys import create_key
from engine.kernel.runtime import Runtime
from engine.kernel.wakeups import MemoryWakeups
from engine.organizations import create_organization
from tests.conftest import manual_clock
from tests.harness.waiting import patience

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Coroutine, Iterator
    from pathlib import Path
    from socket import socket
    from uuid import UUID

    from fastapi import FastAPI

    from state.database import Database
    from tests.conftest import ManualClock


class _Server(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, app: Callable[..., Any]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host="127.0.0.1",
                port=0,
                log_config=None,
                ws="none",
                access_log=False,
                http=LimitedConnection,
            )
        )
        self.listening = Event()

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.servers[0].sockets[0].getsockname()[1]}"


class _Current:
    """A server for all tests of a process, which serves one application after the other.

    Starting and stopping a server takes a quarter of a second, most of which it sleeps.
    """

    def __init__(self) -> None:
        self._app: FastAPI | None = None
        self._server = _Server(self)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = Thread(target=self._server.run, daemon=True, name="tests' server")
        self._thread.start()
        assert self._server.listening.wait(patience(20))
        assert self._loop is not None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            self._loop = asyncio.get_running_loop()
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
        else:
            assert self._app is not None, "a request after its test"
            await self._app(scope, receive, send)

    @contextmanager
    def serving(self, app: FastAPI) -> Iterator[str]:
        """The server's URL, while it serves `app`; its connections and requests end with it."""
        lifespan = app.router.lifespan_context(app)
        self._run(lifespan.__aenter__())
        self._app = app
        try:
            yield self._server.url
        finally:
            self._run(self._end())
            self._app = None
            self._run(lifespan.__aexit__(None, None, None))

    def stop(self) -> None:
        """End the server. The interpreter must not end before: it would take the thread's ground from under it."""
        self._server.should_exit = True
        self._thread.join(patience(20))

    def _run(self, work: Coroutine[Any, Any, Any]) -> None:
        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(work, self._loop).result(patience(30))

    async def _end(self) -> None:
        state = self._server.server_state
        for connection in list(state.connections):
            connection.shutdown()
        while state.tasks:
            await asyncio.wait(list(state.tasks))
        while state.connections:  # noqa: ASYNC110 - uvicorn tells nobody
            await asyncio.sleep(0.001)


@cache
def _current() -> _Current:
    current = _Current()
    atexit.register(current.stop)
    return current


@cache
def trust() -> ssl.SSLContext:
    """What clients trust; made once, for it takes longer than most tests."""
    return httpx.create_ssl_context()


@dataclass
class Api:
    """The server, and whoever talks to it."""

    url: str
    runtime: Runtime
    wakeups: MemoryWakeups
    keys: dict[str, str]
    org_id: UUID
    database: Database
    app: FastAPI

    @property
    def clock(self) -> ManualClock:
        return manual_clock(self.database)

    def client(self, role: str = "admin", *, key: str | None = None) -> httpx.Client:
        key = key or self.keys[role]
        return httpx.Client(
            base_url=self.url,
            headers={"authorization": f"Bearer {key}"},
            timeout=patience(60),
            verify=trust(),
        )


@pytest.fixture
def api(database: Database, org_id: UUID, tmp_path: Path) -> Iterator[Api]:
    """Muster's API over `database`, in organization `org_id`."""
    settings = Settings(
        database_url=database.url.render_as_string(hide_password=False),
        data_dir=tmp_path,
        broker_url="embedded://",
        slice_size=2,
        database_pool=8,
    )
    wakeups = MemoryWakeups()
    runtime = Runtime(settings, database=database, wakeups=wakeups)
    keys = {}
    with database.begin() as session:
        for role in ("viewer", "operator", "admin"):
            keys[role] = create_key(session, org_id, role, role)[1]
    app = create_app(runtime)
    with _current().serving(app) as url:
        yield Api(url, runtime, wakeups, keys, org_id, database, app)


@pytest.fixture
def client(api: Api) -> Iterator[httpx.Client]:
    """An admin of the organization."""
    with api.client() as client:
        yield client


@pytest.fixture
def stranger(api: Api) -> Iterator[httpx.Client]:
    """An admin of another organization."""
    with api.database.begin() as session:
        other = create_organization(session, "strangers")
        key = create_key(session, other.id, "admin", "admin")[1]
    with api.client(key=key) as client:
        yield client
