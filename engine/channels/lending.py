"""Giving something back while it is still in use: when the last user is done.

A channel that is edited is replaced at the next wave, and closed; the waves it is sending then must not notice. So
closing takes effect as soon as no wave is under way, and a wave that begins afterwards is the last user once more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType

__all__ = ["Lent"]


class Lent:
    """An async context manager around each use; of one event loop.

    Args:
        give_back: Called when it was closed and nobody uses it; more than once, if it is used again.
    """

    def __init__(self, give_back: Callable[[], Awaitable[None]]) -> None:
        self._give_back = give_back
        self._users = 0
        self._closed = False

    async def __aenter__(self) -> Self:
        self._users += 1
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._users -= 1
        await self._settle()

    async def close(self) -> None:
        """Give it back now, or when the last user is done. Safe to call twice."""
        self._closed = True
        await self._settle()

    async def _settle(self) -> None:
        if self._closed and not self._users:
            await self._give_back()
