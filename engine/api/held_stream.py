"""A stream of server-sent events that holds something for as long as it lasts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import StreamingResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AsyncExitStack

    from starlette.types import Receive, Scope, Send

__all__ = ["HeldStream"]


class HeldStream(StreamingResponse):
    """Gives back what it holds when it ends, also where the client left before its first byte."""

    def __init__(self, written: AsyncIterator[bytes], held: AsyncExitStack) -> None:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(written, media_type="text/event-stream", headers=headers)
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See `starlette.responses.Response`."""
        async with self._held:
            await super().__call__(scope, receive, send)
