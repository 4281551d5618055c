"""Muster in the process of a test: API, worker and scheduler over SQLite, with an outbox and a clock to move."""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
from sqlalchemy import select

from actors.cli.server import ApiService
from actors.services import Embedded
from config.settings import Settings
from engine.authentication.api_keys import create_key
from engine.organizations import create_organization
from muster_testing.outbox import Outbox
from state.database import Database
from state.tables import Base, Job
from state.transitions import OPEN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Clock", "Muster", "running"]

#: Seconds between two sweeps: how long it takes at most until something that fell due is done.
_SWEEP = 0.1
_LOOK = 0.01


class Clock:
    """The real time, and as much more as a test moved it."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def now(self) -> datetime:
        """The instant, in UTC."""
        return datetime.now(UTC) + self._ahead

    def forward(self, **by: float) -> datetime:
        """Move it: `forward(days=3)`. What falls due by that is done within a moment."""
        self._ahead += timedelta(**by)
        return self.now()


class Muster:
    """A server of a test's own, with one organization whose default channel is `outbox`."""

    def __init__(self, url: str, key: str, outbox: Outbox, clock: Clock, database: Database) -> None:
        self.url = url
        """For `muster_client.Muster(url, key)`, or any other client."""
        self.key = key
        """Of an administrator."""
        self.outbox = outbox
        self.clock = clock
        self._database = database
        self._http = httpx.Client(base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=60)

    def request(self, method: str, path: str, json: Any = None) -> Any:
        """What the API answers.

        Raises:
            httpx.HTTPStatusError: it refused; the message holds its reason.
        """
        answer = self._http.request(method, path, json=json)
        if answer.is_error:
            raise httpx.HTTPStatusError(
                f"{method} {path}: {answer.status_code} {answer.text[:1000]}",
                request=answer.request,
                response=answer,
            )
        return answer.json() if answer.content else None

    def wait_until_delivered(self, *, seconds: float = 60) -> None:
        """Wait until no campaign has anything to deliver.

        Raises:
            TimeoutError: one still has after so many seconds.
        """
        ends = time.monotonic() + seconds
        open_jobs = select(Job.id).where(Job.status.in_(OPEN)).limit(1)
        while True:
            with self._database.read() as session:
                if session.execute(open_jobs).first() is None:
                    return
            if time.monotonic() > ends:
                raise TimeoutError(f"a campaign is still being delivered after {seconds} s")
            time.sleep(_LOOK)

    def close(self) -> None:
        """Close its connections."""
        self._http.close()


@contextmanager
def running(folder: Path) -> Iterator[Muster]:
    """A server over a new database in `folder`, until the block ends."""
    settings = (
        Settings(_env_file=None)
        .embedded(folder)
        .model_copy(update={"sweep_interval": timedelta(seconds=_SWEEP)})
    )
    clock, outbox = Clock(), Outbox()
    database = Database(settings.database_url, clock=clock)
    Base.metadata.create_all(database.engine)
    embedded = Embedded(settings, database=database)
    with embedded.runtime.transaction() as session:
        _, key = create_key(session, create_organization(session, "tests").id, "tests", "admin")
    embedded.runtime.open_keys()
    api = ApiService(embedded.runtime, host="127.0.0.1", port=0)
    embedded.start()
    try:
        api.start()
        try:
            muster = Muster(api.url, key, outbox, clock, database)
            channel = {
                "name": "outbox",
                "kind": "outbox",
                "settings": {"name": outbox.name},
                "is_default": True,
            }
            muster.request("POST", "/v1/channel", channel)
            yield muster
            muster.close()
        finally:
            api.stop()
    finally:
        embedded.stop()
        outbox.forget()
