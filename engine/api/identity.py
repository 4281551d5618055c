"""Who asks: the credentials of a request become a principal, the same way for every dialect.

A dialect says which headers it takes a credential from, in order; the first one that is there decides. Another
credential beside it, in whatever header, must be of the same owner: it would not be clear whose request it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog
from anyio.to_thread import run_sync
from sqlalchemy.exc import DBAPIError

from engine.api.errors import Forbidden, Unauthorized, Unavailable
from engine.authentication.api_keys import authenticate, looks_like_token, note_use, use_is_stale
from engine.authentication.openid_keys import TokenKeys
from engine.authentication.openid_tokens import (
    KeysAway,
    TokenPolicy,
    TokenRefused,
    TokenVerifier,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastapi import Request

    from config.settings import Settings
    from engine.api.rates import Rates
    from engine.api.shared_lookups import SharedLookups
    from engine.kernel.principal import Principal
    from engine.kernel.runtime import Runtime

__all__ = ["BEARER", "client_address", "identify", "token_verifier"]

log = structlog.get_logger(__name__)

#: The header of bearer tokens.
BEARER = "authorization"
#: Every header that may hold a credential.
_HEADERS = (BEARER, "x-api-key", "x-access-token")
#: Different credentials of one request: each costs a query or the check of a signature.
_MOST = 4


async def identify(request: Request, accepted: Sequence[str]) -> Principal:
    """The principal of a request, which is counted (engine.api.rates).

    Args:
        accepted: Headers that the dialect takes a credential from; the first that has one decides.

    Raises:
        Unauthorized: there is no credential, it opens nothing, or another one beside it is of another owner.
        Forbidden: it may not be used from where the request comes.
        TooManyRequests: the principal, or failed requests from that address, made too many in the last minute.
        Unavailable: whose it is cannot be looked up at the moment.
    """
    rates: Rates = request.app.state.rates
    try:
        principal = await _identified(request, accepted)
    except Unauthorized as error:
        if error.tried:
            await rates.count_failure(client_address(request))
        raise
    structlog.contextvars.bind_contextvars(org_id=str(principal.org_id), subject=principal.subject)
    await rates.count_request(principal)
    return principal


def client_address(request: Request) -> str | None:
    """The network address that a request comes from."""
    return request.client.host if request.client is not None else None


async def _identified(request: Request, accepted: Sequence[str]) -> Principal:
    credentials = {header: _credentials(request, header) for header in _HEADERS}
    chosen = next((credentials[header][0] for header in accepted if credentials[header]), None)
    if chosen is None:
        raise Unauthorized(f"send your API key as {_ways(accepted)}", tried=False)
    others = {text for texts in credentials.values() for text in texts} - {chosen}
    if len(others) >= _MOST:
        raise Unauthorized(f"this request carries more than {_MOST} credentials")
    principal = await _principal(request, chosen)
    for other in others:
        try:
            found = await _principal(request, other)
        except (Unauthorized, Forbidden):  # it opens nothing, so it is nobody's
            continue
        if (found.org_id, found.subject) != (principal.org_id, principal.subject):
            raise Unauthorized("this request carries credentials of different owners")
    return principal


def token_verifier(settings: Settings, keys: TokenKeys | None) -> TokenVerifier | None:
    """What checks the tokens that open the API; None: the operator named no issuer."""
    if settings.jwt_issuer is None or settings.jwt_audience is None or keys is None:
        return None
    return TokenVerifier(settings.jwt_issuer, settings.jwt_audience, keys)


async def _principal(request: Request, credential: str) -> Principal:
    """Whom a credential belongs to.

    Raises:
        Unauthorized: it opens nothing.
        Forbidden: it may not be used from where the request comes.
        Unavailable: it cannot be looked up at the moment.
    """
    runtime: Runtime = request.app.state.runtime
    verifier: TokenVerifier | None = request.app.state.tokens
    address = client_address(request)
    if verifier is None or not looks_like_token(credential):
        lookups: SharedLookups[Principal | None] = request.app.state.lookups
        principal = await lookups.find(
            (credential, address), lambda: run_sync(_of_key, runtime, credential, address)
        )
        if principal is None:
            raise Unauthorized("this API key is unknown, was revoked or has expired")
        return principal
    try:
        claims = await verifier.verify(credential, runtime.database.clock.now())
        return await run_sync(_of_claims, runtime, claims, address)
    except TokenRefused as error:
        raise Unauthorized(str(error)) from None
    except KeysAway as error:
        raise Unavailable(str(error), {"retry-after": "5"}) from None


def _of_claims(runtime: Runtime, claims: dict[str, Any], address: str | None) -> Principal:
    with runtime.database.read() as session:
        return TokenPolicy.of(runtime.settings).principal(session, claims, address)


def _of_key(runtime: Runtime, plain: str, address: str | None) -> Principal | None:
    with runtime.database.read() as session:
        key = authenticate(session, plain)
    if key is None:
        return None
    if not key.may_come_from(address):
        raise Forbidden("this key may not be used from your network address")
    if use_is_stale(key, runtime.database.clock.now()):
        try:
            with runtime.database.begin(waits=False) as session:
                note_use(session, key)
        except DBAPIError as error:  # the next request notes it
            log.debug("key.use_not_noted", reason=str(error.orig))
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
