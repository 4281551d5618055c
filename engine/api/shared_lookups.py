"""Look-ups that all who want the same thing at once share.

A request that comes while one is under way waits for the next, which begins after it came: nobody gets what was true
before they asked. Of a thousand requests of one key that arrive together, two or three look the key up.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

__all__ = ["SharedLookups"]

Found = TypeVar("Found")


class SharedLookups(Generic[Found]):
    """Those of one process, by key. Used on one event loop."""

    def __init__(self) -> None:
        self._current: dict[Hashable, asyncio.Task[Found]] = {}
        self._next: dict[Hashable, asyncio.Task[Found]] = {}

    async def find(self, key: Hashable, look: Callable[[], Awaitable[Found]]) -> Found:
        """What `look` finds for `key`, or somebody else's that begins after this; what it raises is raised for all."""
        task = self._next.get(key)
        if task is None:
            current = self._current.get(key)
            if current is None:
                task = self._current[key] = asyncio.create_task(self._run(key, look))
            else:
                task = self._next[key] = asyncio.create_task(self._run_after(current, key, look))
            task.add_done_callback(_retrieved)
        return await asyncio.shield(task)

    async def _run_after(
        self, current: asyncio.Task[Found], key: Hashable, look: Callable[[], Awaitable[Found]]
    ) -> Found:
        await asyncio.wait({current})
        self._current[key] = self._next.pop(key)
        return await self._run(key, look)

    async def _run(self, key: Hashable, look: Callable[[], Awaitable[Found]]) -> Found:
        try:
            return await look()
        finally:
            if self._current.get(key) is asyncio.current_task():
                del self._current[key]


def _retrieved(task: asyncio.Task[Found]) -> None:
    """Where everybody who waited has left, nobody else asks for the error."""
    if not task.cancelled():
        task.exception()
