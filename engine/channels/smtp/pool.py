"""The connections of one channel in one process: few, kept while they are used, given in the order of asking.

When the server refuses a further connection while others are open, that is its limit: for half a minute no
more are tried than there were then. Only when none is open at all does a refusal concern the messages.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from engine.channels.smtp.session import ConnectionRefused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from engine.channels.smtp.session import Session

__all__ = ["Pool"]

#: How long the server's own limit is believed, in seconds.
_CROWDED = 30.0


class Pool:
    """Gives sessions out and takes them back.

    Args:
        open_session: Makes a new one.
        limit: How many at once.
        uses: After how many messages a session is closed.
        idle_timeout: After how many unused seconds.
    """

    def __init__(
        self, open_session: Callable[[], Awaitable[Session]], *, limit: int, uses: int, idle_timeout: float
    ) -> None:
        self._open_session = open_session
        self._limit = limit
        self._uses = uses
        self._idle_timeout = idle_timeout
        self._idle: deque[Session] = deque()
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._busy = 0
        """Places taken: sessions in use, and those that are being opened."""
        self._crowded: tuple[int, float] | None = None
        self._reaper: asyncio.TimerHandle | None = None
        self._closing: set[Session] = set()
        self._closed = False

    async def acquire(self) -> Session:
        """A session, to be given back with `release`.

        Raises:
            ConnectionRefused: a new one was needed and could not be had; `crowded` when others are open, or being
                opened.
        """
        await self._place()
        try:
            while self._idle:
                session = self._idle.pop()
                if session.usable:
                    return session
                self._close(session)
            return await self._open_session()
        except BaseException as error:
            self._busy -= 1
            if isinstance(error, ConnectionRefused) and self._busy:
                error.crowded = True
                self._crowded = (self._busy, asyncio.get_running_loop().time() + _CROWDED)
            self._wake()
            raise

    def release(self, session: Session) -> None:
        """Give back a session; one that is broken, worn or no longer wanted is closed."""
        self._busy -= 1
        if self._closed or session.offered >= self._uses or not session.usable:
            self._close(session)
        else:
            session.idle_since = asyncio.get_running_loop().time()
            self._idle.append(session)
            self._schedule_reaper()
        self._wake()

    async def close(self) -> None:
        """Close what is idle now, and the rest when it comes back. Safe to call twice."""
        self._closed = True
        if self._reaper is not None:
            self._reaper.cancel()
            self._reaper = None
        while self._idle:
            self._close(self._idle.pop())
        if self._closing:
            await asyncio.wait([session.closed for session in self._closing])

    def _close(self, session: Session) -> None:
        """Begin to close; `close` waits for all that were begun, so that a loop can end after it."""
        self._closing.add(session)
        session.closed.add_done_callback(lambda _: self._closing.discard(session))
        session.quit()

    async def _place(self) -> None:
        if not self._waiters and self._busy < self._ceiling():
            self._busy += 1
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():  # the place was ours already
                self._busy -= 1
                self._wake()
            elif waiter in self._waiters:
                self._waiters.remove(waiter)
            raise

    def _wake(self) -> None:
        while self._waiters and self._busy < self._ceiling():
            waiter = self._waiters.popleft()
            if not waiter.done():
                self._busy += 1
                waiter.set_result(None)

    def _ceiling(self) -> int:
        if self._crowded is None:
            return self._limit
        places, until = self._crowded
        if asyncio.get_running_loop().time() >= until:
            self._crowded = None
            return self._limit
        return places

    def _schedule_reaper(self) -> None:
        if self._reaper is None:
            loop = asyncio.get_running_loop()
            self._reaper = loop.call_later(self._idle_timeout, self._reap)

    def _reap(self) -> None:
        """Close what nobody has used for long enough; the oldest stand first."""
        self._reaper = None
        oldest = asyncio.get_running_loop().time() - self._idle_timeout
        while self._idle and self._idle[0].idle_since <= oldest:
            self._close(self._idle.popleft())
        if self._idle:
            self._schedule_reaper()
