"""`Idempotency-Key` around a handler (docs/contract/own-routes.md): reserve, work, keep the answer.

- The reservation is committed before the work starts and renewed while it runs.
- An answer below 500 is kept: with the work where it is one transaction (engine.api.call), else after it.
- A 5xx, or a process that dies, gives the key back: at once, or when the reservation is found abandoned.
- A body that is streamed is not known beforehand: its fingerprint is kept with the answer, and a second request is
  compared when its own body was read to the end.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog
from anyio.to_thread import run_sync
from sqlalchemy.exc import DBAPIError
from starlette.responses import Response

from engine.api.errors import RequestError
from engine.kernel import idempotency
from engine.kernel.idempotency import Fingerprints, KeyConflict, Reservation, Stored

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from engine.api.bodies import BodyStream
    from engine.api.call import Call
    from engine.kernel.runtime import Runtime
    from engine.kernel.secrets import Secrets

__all__ = ["once"]

log = structlog.get_logger(__name__)

_FAILED = 500
_BODY = "x-body-fingerprint"
_RENEW_SECONDS = idempotency.ABANDONED.total_seconds() / 4


async def once(
    call: Call,
    key: str,
    request: Sequence[bytes],
    stream: BodyStream | None,
    work: Callable[[], Awaitable[Response]],
    *,
    secrets: Secrets,
) -> Response:
    """Answer a request once; `request` is what makes it the same, `stream` its body where that is not part of it.

    Raises:
        Invalid: the key cannot be used.
        KeyConflict: it belongs to another request, or its first still runs.
    """
    key = idempotency.check_key(key)
    keys = secrets.request_keys
    taken = await run_sync(_reserve, call, key, Fingerprints(keys, *request))
    if isinstance(taken, Stored):
        return await _replay(taken, stream, keys)
    call.reservation = taken
    async with _renewed(call.runtime, taken):
        response = await work()
    if response.status_code >= _FAILED:
        await run_sync(_release, call.runtime, taken)
    elif not call.stored:
        headers = {"content-type": response.headers.get("content-type", "")}
        if stream is not None:
            try:
                headers[_BODY] = Fingerprints(keys, await stream.digest()).kept.hex()
            except RequestError:  # the rest of a refused body never came: there is nothing to compare with
                await run_sync(_release, call.runtime, taken)
                return response
        await run_sync(_store, call.runtime, taken, response, headers)
    return response


async def _replay(stored: Stored, stream: BodyStream | None, keys: Sequence[bytes]) -> Response:
    kept = bytes.fromhex(stored.headers.get(_BODY, ""))
    if stream is not None and kept not in Fingerprints(keys, await stream.digest()):
        raise KeyConflict("this Idempotency-Key was used for another request")
    headers = {"idempotent-replayed": "true"}
    if stored.headers.get("content-type"):
        headers["content-type"] = stored.headers["content-type"]
    return Response(stored.answer, stored.status, headers=headers)


@asynccontextmanager
async def _renewed(runtime: Runtime, reservation: Reservation) -> AsyncIterator[None]:
    async def renew() -> None:
        while True:
            await asyncio.sleep(_RENEW_SECONDS)
            try:
                await run_sync(_renew, runtime, reservation)
            except DBAPIError as error:
                log.warning("idempotency.renew_failed", reason=str(error.orig))

    task = asyncio.create_task(renew())
    try:
        yield
    finally:
        task.cancel()


def _reserve(call: Call, key: str, request: Fingerprints) -> Reservation | Stored:
    with call.runtime.database.begin() as session:
        return idempotency.reserve(session, call.org_id, key, request)


def _renew(runtime: Runtime, reservation: Reservation) -> None:
    with runtime.database.begin() as session:
        idempotency.renew(session, reservation)


def _release(runtime: Runtime, reservation: Reservation) -> None:
    try:
        with runtime.database.begin() as session:
            idempotency.release(session, reservation)
    except DBAPIError as error:  # it will be found abandoned
        log.warning("idempotency.release_failed", reason=str(error.orig))


def _store(runtime: Runtime, reservation: Reservation, response: Response, headers: dict[str, str]) -> None:
    try:
        with runtime.database.begin() as session:
            idempotency.store(
                session,
                reservation,
                status=response.status_code,
                answer=bytes(response.body),
                headers=headers,
            )
    except (DBAPIError, KeyConflict) as error:  # the work is done; the answer is the caller's in any case
        log.warning("idempotency.store_failed", reason=str(error))
