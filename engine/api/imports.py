"""Bodies of any size: read in a thread while they arrive, a few at a time, so that slow senders hold up
nobody.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

from anyio import CapacityLimiter
from anyio.to_thread import run_sync

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastapi import Request

    from engine.api.bodies import BodyStream

__all__ = ["AT_ONCE", "imported", "limiter"]

#: Imports of one process at once; more wait for their turn, and their senders with them.
AT_ONCE = 2

Result = TypeVar("Result")


def limiter() -> CapacityLimiter:
    """The places that imports wait for."""
    return CapacityLimiter(AT_ONCE)


async def imported(request: Request, work: Callable[[Iterator[bytes]], Result]) -> Result:
    """What `work` makes of the request's body; the route must be one that streams."""
    stream: BodyStream = request.state.body
    places: CapacityLimiter = request.app.state.imports
    return await run_sync(partial(work, stream.chunks()), limiter=places)
