"""Shares: of what a process has for all organizations together, one organization takes a part and never all.

Who wants more than its organization's part is answered 429; where all places together are taken, 503.
"""

from __future__ import annotations

import sys
from asyncio import Semaphore
from collections import Counter
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.api.errors import TooManyRequests, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from uuid import UUID

__all__ = ["Share", "Shares", "Turns"]

_RETRY_AFTER = {"retry-after": "5"}


class Share:
    """Places of one kind. Used on one event loop.

    Args:
        what: What takes a place, for the error of a request that finds none.
        each: Places that one organization may take.
        total: Places of the process.
    """

    def __init__(self, what: str, *, each: int, total: int) -> None:
        self._what = what
        self.each = each
        self.total = total
        self._taken: Counter[UUID] = Counter()

    @property
    def taken(self) -> int:
        """Places that are taken."""
        return self._taken.total()

    @contextmanager
    def place(self, org_id: UUID) -> Iterator[None]:
        """Hold a place.

        Raises:
            TooManyRequests: the organization has taken its part.
            Unavailable: all places are taken.
        """
        if self._taken[org_id] >= self.each:
            raise TooManyRequests(f"your organization has {self.each} {self._what} already", _RETRY_AFTER)
        if self.taken >= self.total:
            raise Unavailable(f"this process has {self.total} {self._what} already", _RETRY_AFTER)
        self._taken[org_id] += 1
        try:
            yield
        finally:
            self._taken[org_id] -= 1
            if not self._taken[org_id]:
                del self._taken[org_id]


class Turns:
    """Threads that one organization's requests work in at once; what is more waits for its turn, while the requests of
    others are worked at. Used on one event loop.

    Args:
        each: Requests of one organization at once.
        waiting: Those that wait beside them.
    """

    def __init__(self, *, each: int, waiting: int = 200) -> None:
        self.each = each
        self._places = Share("requests at work or waiting", each=each + waiting, total=sys.maxsize)
        self._working: dict[UUID, tuple[Semaphore, int]] = {}
        """By organization: who works, and how many work or wait."""

    @asynccontextmanager
    async def turn(self, org_id: UUID) -> AsyncIterator[None]:
        """Wait for a turn, and have it.

        Raises:
            TooManyRequests: too many of the organization's wait already.
        """
        with self._places.place(org_id):
            semaphore, users = self._working.get(org_id, (Semaphore(self.each), 0))
            self._working[org_id] = semaphore, users + 1
            try:
                async with semaphore:
                    yield
            finally:
                semaphore, users = self._working[org_id]
                if users == 1:
                    del self._working[org_id]
                else:
                    self._working[org_id] = semaphore, users - 1


@dataclass(frozen=True, slots=True)
class Shares:
    """Everything that is shared so in one process."""

    turns: Turns
    streams: Share = field(default_factory=lambda: Share("live streams", each=200, total=2000))
    polls: Share = field(default_factory=lambda: Share("long polls", each=200, total=2000))
    pages: Share = field(default_factory=lambda: Share("open pages of the console", each=100, total=500))
    imports: Share = field(default_factory=lambda: Share("imports", each=4, total=16))
