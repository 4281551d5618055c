"""Bodies of any size: read in a thread while they arrive, so that slow senders hold up nobody.

An import has a thread of its own, of which each organization has a part (engine.api.shares); it works, and takes a
connection of the database, in its turn: `AT_ONCE` imports do, and none of them while it waits for its sender.
"""

from __future__ import annotations

from threading import Semaphore
from typing import TYPE_CHECKING, TypeVar

from anyio import CapacityLimiter
from anyio.to_thread import run_sync

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastapi import Request

    from engine.api.bodies import BodyStream
    from engine.api.call import Call
    from engine.api.shares import Share

__all__ = ["AT_ONCE", "Imports", "imported"]

#: Imports of one process that work at once.
AT_ONCE = 2

Result = TypeVar("Result")


class Imports:
    """The imports of one process.

    Args:
        places: What they take of the process.
    """

    def __init__(self, places: Share) -> None:
        self._places = places
        self._threads = CapacityLimiter(places.total)
        self._turns = Semaphore(AT_ONCE)

    async def run(self, request: Request, work: Callable[[Iterator[bytes]], Result]) -> Result:
        """What `work` makes of the request's body; the route must be one that streams.

        Raises:
            TooManyRequests: the organization has as many imports as it may.
            Unavailable: the process has.
        """
        call: Call = request.state.call
        stream: BodyStream = request.state.body
        with self._places.place(call.org_id):
            return await run_sync(self._work, work, stream.chunks(), limiter=self._threads)

    def _work(self, work: Callable[[Iterator[bytes]], Result], chunks: Iterator[bytes]) -> Result:
        with self._turns:
            return work(self._arriving(chunks))

    def _arriving(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """The body; while it is waited for, the turn is another's."""
        while True:
            self._turns.release()
            try:
                chunk = next(chunks, None)
            finally:
                self._turns.acquire()
            if chunk is None:
                return
            yield chunk


async def imported(request: Request, work: Callable[[Iterator[bytes]], Result]) -> Result:
    """See `Imports.run`."""
    imports: Imports = request.app.state.imports
    return await imports.run(request, work)
