"""Waiting on behalf of a client, for as long as it is there and its credential is good."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from engine.api.errors import ClientGone, Unauthorized

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from fastapi import Request

    from engine.api.credentials_watch import CredentialWatch
    from engine.kernel.principal import Principal

__all__ = ["wait_for_caller"]

Result = TypeVar("Result")


async def wait_for_caller(
    request: Request, principal: Principal, waiting: Coroutine[Any, Any, Result]
) -> Result:
    """What `waiting` comes to. The request's body must have been read.

    Raises:
        Unauthorized: the credential was revoked, or has expired, meanwhile.
        ClientGone: the client closed the connection meanwhile.
    """
    credentials: CredentialWatch = request.app.state.credentials
    with credentials.watching(principal) as ended:
        result = asyncio.ensure_future(waiting)
        revoked = asyncio.ensure_future(ended.wait())
        gone = asyncio.ensure_future(_disconnected(request))
        try:
            await asyncio.wait({result, revoked, gone}, return_when=asyncio.FIRST_COMPLETED)
            if result.done():
                return result.result()
            if revoked.done():
                raise Unauthorized("your key or token was revoked, or has expired, meanwhile")
            raise ClientGone("the client went away")
        finally:
            for task in (result, revoked, gone):
                task.cancel()
            await asyncio.gather(result, revoked, gone, return_exceptions=True)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
