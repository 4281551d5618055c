"""A real server in this process, over the test's database, and clients with keys of every role."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Event, Thread
from typing import TYPE_CHECKING

import httpx
import pytest
import uvicorn

from config.settings import Settings
from engine.api.app import create_app
from engine.api.connections import LimitedConnection
from engine.api_keys import create_key
from engine.organizations import create_organization
from engine.runtime import Runtime
from engine.wakeups import MemoryWakeups

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from fastapi import FastAPI

    from state.database import Database


class _Server(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, app: object) -> None:
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

    async def startup(self, sockets: object = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.servers[0].sockets[0].getsockname()[1]}"


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

    def client(self, role: str = "admin", *, key: str | None = None) -> httpx.Client:
        key = key or self.keys[role]
        return httpx.Client(base_url=self.url, headers={"authorization": f"Bearer {key}"}, timeout=30)


@pytest.fixture
def api(database: Database, org_id: UUID, tmp_path: object) -> Iterator[Api]:
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
    server = _Server(app)
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    assert server.listening.wait(20)
    yield Api(server.url, runtime, wakeups, keys, org_id, database, app)
    server.should_exit = True
    thread.join(20)
    assert not thread.is_alive()


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
