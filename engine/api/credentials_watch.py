"""What goes on for long (live streams, long polls) ends with the credential that opened it.

One query a process and interval, whatever goes on: which of the keys in use were revoked, or have expired. Tokens end
by themselves. While the database is away nothing is ended: neither could anything be revoked.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog
from anyio.to_thread import run_sync
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from engine.authentication.api_keys import ended_keys

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from uuid import UUID

    from engine.kernel.principal import Principal
    from engine.kernel.runtime import Runtime

__all__ = ["INTERVAL_SECONDS", "CredentialWatch"]

log = structlog.get_logger(__name__)

#: Between two looks. What goes on ends within that, and the time that the query takes.
INTERVAL_SECONDS = 2.0


class CredentialWatch:
    """Everything in this process that goes on under somebody's credential. All of it runs on one event loop.

    Args:
        notify: Is called whenever an event was set, for those who wait for something else beside it.
    """

    def __init__(
        self, runtime: Runtime, *, notify: Callable[[], Awaitable[None]], interval: float = INTERVAL_SECONDS
    ) -> None:
        self._runtime = runtime
        self._notify = notify
        self._interval = interval
        self._open: dict[Principal, list[asyncio.Event]] = defaultdict(list)
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def watching(self, principal: Principal) -> Iterator[asyncio.Event]:
        """An event that is set once the principal's credential opens nothing any more."""
        ended = asyncio.Event()
        self._open[principal].append(ended)
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        try:
            yield ended
        finally:
            those = self._open[principal]
            those.remove(ended)
            if not those:
                del self._open[principal]
            if not self._open and self._task is not None:
                self._task.cancel()
                self._task = None

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            now = self._runtime.database.clock.now()
            over = {one for one in self._open if one.expires_at is not None and one.expires_at <= now}
            keys = {one.key_id for one in self._open if one.key_id is not None and one not in over}
            try:
                ended = await run_sync(self._ended, keys) if keys else set()
            except (DBAPIError, PoolTimeout) as error:
                log.warning("database.away", reason=str(getattr(error, "orig", error)))
                ended = set()
            those = [self._open[one] for one in self._open if one in over or one.key_id in ended]
            for event in itertools.chain.from_iterable(those):
                event.set()
            if those:
                await self._notify()

    def _ended(self, keys: set[UUID]) -> set[UUID]:
        with self._runtime.database.read() as session:
            return ended_keys(session, keys)
