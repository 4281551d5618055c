"""The live stream: one small query a process and interval, whatever the number of listeners.

Listeners are coroutines. The first one starts the poll, the last one to leave ends it. The poll places events that
wait for it (engine.events.distribute), reads what is new of all organizations, and keeps the last `KEPT` of each that
somebody listens to. A listener takes what it lacks from there, or, when it was away or too slow for longer than that,
from the database: nobody misses anything, and a slow one costs no memory.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import structlog
from anyio.to_thread import run_sync
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from engine.events.distribute import distribute
from engine.events.names import wants
from engine.events.payloads import payload
from state.tables import Event

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from typing import Any
    from uuid import UUID

    from engine.kernel.runtime import Runtime

__all__ = ["EventHub", "Happened"]

log = structlog.get_logger(__name__)

INTERVAL_SECONDS = 0.5
#: Events of an organization that are kept for its listeners.
KEPT = 1000
#: Events that one query reads.
_PAGE = 500


class Happened(NamedTuple):
    """One event, ready to be sent."""

    position: int
    name: str
    body: bytes


class _Room:
    """Everybody of one organization."""

    def __init__(self, since: int) -> None:
        self.listeners = 0
        self.since = since
        """Everything behind this position is in `recent`, up to the hub's own position."""
        self.recent: deque[Happened] = deque()

    def add(self, happened: Happened) -> None:
        self.recent.append(happened)
        if len(self.recent) > KEPT:
            self.since = self.recent.popleft().position


class EventHub:
    """The listeners of one process. All of it runs on one event loop."""

    def __init__(self, runtime: Runtime, *, interval: float = INTERVAL_SECONDS) -> None:
        self._runtime = runtime
        self._interval = interval
        self._rooms: dict[UUID, _Room] = {}
        self._changed = asyncio.Condition()
        self._entering = asyncio.Lock()
        self._position = 0
        """Up to where events have been read."""
        self._poll: asyncio.Task[None] | None = None
        self._quiet = asyncio.Event()
        """Set when nobody is left whom the poll would serve."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = False
        self.listeners = 0

    def stop(self) -> None:
        """End every stream in good order. From any thread; safe to call twice."""
        self._stopped = True
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(lambda: loop.create_task(self.wake()))

    async def listen(
        self,
        org_id: UUID,
        *,
        after: int | None,
        patterns: Sequence[str],
        heartbeat: float,
        ended: asyncio.Event,
    ) -> AsyncGenerator[Happened | None]:
        """Events behind position `after` (None: from now on) that `patterns` name, in order; None for a heartbeat.

        Begins with a heartbeat, and ends when the hub stops or `ended` is set (see `wake`).

        Raises:
            sqlalchemy.exc.DBAPIError: the database went away.
        """
        room = await self._enter(org_id)
        try:
            position = self._position if after is None else after
            if not self._stopped:
                yield None
            while not self._stopped and not ended.is_set():
                fresh, position = await self._behind(org_id, room, position)
                for one in fresh:
                    if wants(patterns, one.name):
                        yield one
                if fresh:
                    continue
                try:
                    async with asyncio.timeout(heartbeat), self._changed:
                        await self._changed.wait_for(partial(self._news, room, position, ended))
                except TimeoutError:
                    yield None
        finally:
            self.listeners -= 1
            room.listeners -= 1
            if room.listeners == 0 and self._rooms.get(org_id) is room:
                del self._rooms[org_id]
            if not self._rooms and self._poll is not None:
                # Not cancelled: a query that is abandoned in its thread would outlive its listener.
                poll, self._poll = self._poll, None
                self._quiet.set()
                await asyncio.shield(poll)

    async def _enter(self, org_id: UUID) -> _Room:
        self._loop = asyncio.get_running_loop()
        async with self._entering:
            if self._poll is None:
                self._position = await run_sync(self._last)
                self._quiet = asyncio.Event()
                self._poll = asyncio.create_task(self._run(self._quiet))
        room = self._rooms.get(org_id)
        if room is None:
            room = self._rooms[org_id] = _Room(self._position)
        room.listeners += 1
        self.listeners += 1
        return room

    def _news(self, room: _Room, position: int, ended: asyncio.Event) -> bool:
        """Whether a listener at `position` has something to do."""
        return self._stopped or ended.is_set() or (bool(room.recent) and room.recent[-1].position > position)

    async def _behind(self, org_id: UUID, room: _Room, position: int) -> tuple[list[Happened], int]:
        """What comes behind `position`, from memory or a page of it from the database, and where that ends."""
        if position < room.since:
            read_up_to = self._position
            page = await run_sync(self._read, position, org_id)
            # Nothing of this organization: all that was read up to then lies behind us.
            return page, page[-1].position if page else read_up_to
        fresh: list[Happened] = []
        for one in reversed(room.recent):
            if one.position <= position:
                break
            fresh.append(one)
        fresh.reverse()
        return fresh, fresh[-1].position if fresh else position

    async def _run(self, quiet: asyncio.Event) -> None:
        while not self._stopped and not quiet.is_set():
            try:
                await run_sync(distribute, self._runtime)
                while await self._take_in(await run_sync(self._read_all, self._position), quiet):
                    pass
            except DBAPIError as error:
                log.warning("database.away", reason=str(error.orig))
            except Exception:  # the next round tries again; listeners hear nothing meanwhile
                log.exception("stream.poll_failed")
            with suppress(TimeoutError):
                async with asyncio.timeout(self._interval):
                    await quiet.wait()

    async def _take_in(self, page: Sequence[tuple[UUID, Happened]], quiet: asyncio.Event) -> bool:
        """Hand out what was read; whether there may be more."""
        if not page or quiet.is_set():  # by now another poll may have begun
            return False
        for org_id, happened in page:
            self._position = happened.position
            if (room := self._rooms.get(org_id)) is not None:
                room.add(happened)
        await self.wake()
        return True

    async def wake(self) -> None:
        """Have every listener look whether there is something new, or it is to end."""
        async with self._changed:
            self._changed.notify_all()

    def _last(self) -> int:
        with self._runtime.database.read() as session:
            return session.execute(select(func.max(Event.position))).scalar_one() or 0

    def _read_all(self, position: int) -> list[tuple[UUID, Happened]]:
        """The next events of all organizations. Index on position."""
        return [(row.org_id, _happened(row)) for row in self._rows(Event.position > position)]

    def _read(self, position: int, org_id: UUID) -> list[Happened]:
        """The next events of one organization. Index (org_id, position)."""
        return [_happened(row) for row in self._rows(Event.position > position, Event.org_id == org_id)]

    def _rows(self, *where: Any) -> Sequence[Event]:
        statement = select(Event).where(*where).order_by(Event.position).limit(_PAGE)
        with self._runtime.database.read() as session:
            return session.execute(statement).scalars().all()


def _happened(row: Event) -> Happened:
    body = payload(
        row.id, row.name, row.created_at, campaign_id=row.campaign_id, job_id=row.job_id, data=row.data
    )
    return Happened(row.position or 0, row.name, body)
