"""Who asks: the credentials of a request become a principal, the same way for every dialect.

A dialect says which headers it takes a credential from, in order; the first one that is there decides. Another
credential beside it, in whatever header, must be of the same owner: it would not be clear whose request it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from anyio.to_thread import run_sync
from sqlalchemy.exc import DBAPIError

from engine.api.errors import Unauthorized
from engine.api_keys import authenticate, note_use, use_is_stale

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastapi import Request

    from engine.principal import Principal
    from engine.runtime import Runtime

__all__ = ["BEARER", "identify"]

log = structlog.get_logger(__name__)

#: The header of bearer tokens.
BEARER = "authorization"
#: Every header that may hold a credential.
_HEADERS = (BEARER, "x-api-key", "x-access-token")


async def identify(request: Request, accepted: Sequence[str]) -> Principal:
    """The principal of a request.

    Args:
        accepted: Headers that the dialect takes a credential from; the first that has one decides.

    Raises:
        Unauthorized: there is no credential, it opens nothing, or another one beside it is of another owner.
    """
    credentials = {header: _credentials(request, header) for header in _HEADERS}
    chosen = next((credentials[header][0] for header in accepted if credentials[header]), None)
    if chosen is None:
        raise Unauthorized(f"send your API key as {_ways(accepted)}")
    principal = await _principal(request, chosen)
    if principal is None:
        raise Unauthorized("this API key is unknown or was revoked")
    for other in {text for texts in credentials.values() for text in texts} - {chosen}:
        found = await _principal(request, other)
        if found is not None and (found.org_id, found.subject) != (principal.org_id, principal.subject):
            raise Unauthorized("this request carries credentials of different owners")
    structlog.contextvars.bind_contextvars(org_id=str(principal.org_id), subject=principal.subject)
    return principal


async def _principal(request: Request, credential: str) -> Principal | None:
    """Whom a credential belongs to; None: it opens nothing."""
    runtime: Runtime = request.app.state.runtime
    address = request.client.host if request.client is not None else None
    return await run_sync(_of_key, runtime, credential, address)


def _of_key(runtime: Runtime, plain: str, address: str | None) -> Principal | None:
    with runtime.database.read() as session:
        key = authenticate(session, plain)
    if key is None:
        return None
    if use_is_stale(key, runtime.database.clock.now()):
        try:
            with runtime.database.begin() as session:
                note_use(session, key)
        except DBAPIError as error:  # nobody is turned away for it
            log.warning("key.use_not_noted", reason=str(error.orig))
    return key.principal(address)


def _credentials(request: Request, header: str) -> list[str]:
    """What a header holds; of `Authorization` its bearer tokens."""
    values = [value.strip() for value in request.headers.getlist(header)]
    if header == BEARER:
        split = (value.partition(" ") for value in values)
        values = [token.strip() for scheme, _, token in split if scheme.lower() == "bearer"]
    return [value for value in values if value]


def _ways(accepted: Sequence[str]) -> str:
    """How a key may be sent, in words."""
    spelled = {BEARER: "`Authorization: Bearer <key>`", "x-api-key": "`X-API-Key`"}
    *first, last = [spelled.get(header, f"`{header}`") for header in accepted]
    return f"{', '.join(first)} or {last}" if first else last
