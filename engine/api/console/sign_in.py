"""Signing in and out: with an API key, at the operator's OpenID provider, or once with a link that `muster dev` prints;
and how pages look, which is kept in the browser.

Every way to sign in ends at a `Principal`, which opens a session (engine.authentication.browser_sessions).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import structlog
from anyio.to_thread import run_sync
from fastapi import APIRouter, Query, Request
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from structlog.contextvars import get_contextvars

from engine.api.bodies import read_body
from engine.api.console.cookies import (
    LANGUAGE,
    OPENID,
    SESSION,
    THEME,
    ZONE,
    drop_cookie,
    set_cookie,
    set_session,
)
from engine.api.console.paths import ROOT, SIGN_IN, is_own_path
from engine.api.console.rendering import THEMES, Look, render
from engine.api.console.translations import LANGUAGES
from engine.api.console.view import ConsoleRoute, OpenRoute, Viewing, signed_in_now
from engine.api.errors import Forbidden
from engine.api.identity import client_address
from engine.audit import Author, note_request
from engine.authentication.api_keys import authenticate
from engine.authentication.browser_sessions import begin_session, end_session, take_sign_in_code
from engine.authentication.openid_keys import KeysAway
from engine.authentication.openid_sign_in import OpenIdSignIn, Pending, ProviderAway
from engine.authentication.openid_tokens import TokenPolicy, TokenRefused
from engine.kernel.principal import Role
from engine.limits.zone_names import is_zone

if TYPE_CHECKING:
    from engine.api.rates import Rates
    from engine.kernel.principal import Principal
    from engine.kernel.runtime import Runtime

__all__ = ["ROUTERS"]

_open = APIRouter(route_class=OpenRoute, include_in_schema=False)

log = structlog.get_logger(__name__)

#: Bytes of a sign-in form.
_FORM = 4096
_OPENID = f"{ROOT}/openid"
#: Where the provider sends browsers back to; it is registered there.
_OPENID_BACK = f"{_OPENID}/back"
#: Seconds that somebody has at the provider.
_OPENID_LASTS = 900


@_open.get("/")
async def front() -> Response:
    """The console is what is at `/`."""
    return RedirectResponse(ROOT, 307)


@_open.get(SIGN_IN)
async def ask(
    request: Request,
    wanted: Annotated[str, Query(alias="next")] = "",
    ended: str = "",
) -> Response:
    """The sign-in page; a person who is signed in goes on."""
    if await signed_in_now(request) is not None:
        return RedirectResponse(_place(wanted), 303)
    return _door(request, 200, wanted=wanted, ended=bool(ended))


@_open.post(SIGN_IN)
async def enter(request: Request) -> Response:
    """Sign in with an API key."""
    _refuse_other_sites(request)
    body = await read_body(request, limit=_FORM)
    form = parse_qs(body.decode("utf-8", "replace"))
    key, wanted = form.get("key", [""])[0].strip(), form.get("next", [""])[0]
    principal = await run_sync(_of_key, request, key)
    if principal is None:
        await _count_failure(request)
        return _door(request, 401, wanted=wanted, refused=True)
    return await run_sync(_begun, request, principal, _place(wanted))


@_open.get(_OPENID)
async def go_to_provider(request: Request, wanted: Annotated[str, Query(alias="next")] = "") -> Response:
    """Send the browser to the OpenID provider."""
    openid = _provider(request)
    try:
        where, pending = await openid.begin(_back(request))
    except ProviderAway as error:
        log.warning("console.provider_away", reason=str(error))
        return _door(request, 503, wanted=wanted, problem="away")
    response = RedirectResponse(where, 303, headers={"cache-control": "no-store"})
    kept = f"{pending}|{quote(_place(wanted), safe='')}"
    set_cookie(request, response, OPENID, kept, seconds=_OPENID_LASTS)
    return response


@_open.get(_OPENID_BACK)
async def come_from_provider(request: Request, state: str = "", code: str = "", error: str = "") -> Response:
    """Sign in whom the OpenID provider sends back."""
    openid = _provider(request)
    kept, _, place = request.cookies.get(OPENID, "").partition("|")
    wanted = unquote(place)
    try:
        pending = _pending(kept, error)
        now = _runtime(request).database.clock.now()
        claims = await openid.finish(pending, state, code, _back(request), now)
        principal = await run_sync(_of_claims, request, claims)
    except TokenRefused as refusal:
        log.info("console.sign_in_refused", reason=str(refusal))
        await _count_failure(request)
        response = _door(request, 401, wanted=wanted, problem="refused", reason=str(refusal))
    except (ProviderAway, KeysAway) as away:
        log.warning("console.provider_away", reason=str(away))
        response = _door(request, 503, wanted=wanted, problem="away")
    else:
        response = await run_sync(_begun, request, principal, _place(wanted))
    drop_cookie(response, OPENID)
    return response


@_open.get(f"{ROOT}/enter")
async def enter_once(request: Request, code: str = "") -> Response:
    """Sign in with a link that works once."""
    principal = await run_sync(_of_code, request, code)
    if principal is None:
        return _door(request, 401, ended=True)
    return await run_sync(_begun, request, principal, ROOT)


class _OwnRoute(ConsoleRoute):
    """What everybody may do with a session of their own."""

    role = Role.VIEWER


_own = APIRouter(route_class=_OwnRoute, include_in_schema=False)


@_own.post(f"{ROOT}/sign-out", name="console.sign_out")
def leave(view: Viewing) -> Response:
    """End this browser's session."""
    with view.call.transaction() as session:
        end_session(session, view.call.org_id, view.signed_in.id)
    response = view.go(SIGN_IN)
    drop_cookie(response, SESSION)
    return response


@_own.post(f"{ROOT}/look", name="console.look")
def choose(view: Viewing) -> Response:
    """Keep language, theme or time zone in the browser; others stay as they are."""
    response = view.go(_place(view.field("next")))
    for cookie, name, known in (
        (LANGUAGE, "language", lambda value: value in LANGUAGES),
        (THEME, "theme", lambda value: value in THEMES),
        (ZONE, "zone", is_zone),
    ):
        value = view.field(name)
        if value and known(value):
            set_cookie(view.request, response, cookie, value)
    return response


def _of_key(request: Request, key: str) -> Principal | None:
    with _runtime(request).database.read() as session:
        known = authenticate(session, key) if key else None
    return None if known is None else known.principal(client_address(request))


def _pending(kept: str, error: str) -> Pending:
    """The sign-in that the browser began.

    Raises:
        TokenRefused: there is none, or the provider ended it.
    """
    pending = Pending.read(kept)
    if pending is None:
        raise TokenRefused("this browser began no sign-in in the last 15 minutes")
    if error:
        raise TokenRefused("the provider signed nobody in")
    return pending


def _of_claims(request: Request, claims: dict[str, Any]) -> Principal:
    runtime = _runtime(request)
    with runtime.database.read() as session:
        return TokenPolicy.of(runtime.settings).principal(session, claims, client_address(request))


def _of_code(request: Request, code: str) -> Principal | None:
    with _runtime(request).transaction() as session:
        return take_sign_in_code(session, code, client_address(request)) if code else None


def _begun(request: Request, principal: Principal, place: str) -> Response:
    runtime = _runtime(request)
    with runtime.transaction() as session:
        token = begin_session(session, principal, agent=request.headers.get("user-agent", ""))
    author = Author(
        name=principal.subject,
        role=principal.role.word,
        operation="console.sign_in",
        org_id=principal.org_id,
        address=principal.address,
        request_id=get_contextvars().get("request_id"),
    )
    note_request(runtime.database, author, "browser_session", "create")
    response = RedirectResponse(place, 303)
    set_session(request, response, token)
    return response


def _door(
    request: Request,
    status: int,
    *,
    wanted: str = "",
    ended: bool = False,
    refused: bool = False,
    problem: str = "",
    reason: str = "",
) -> Response:
    """The sign-in page.

    Args:
        wanted: Where somebody goes who signs in.
        ended: It says that the session has ended.
        refused: It says that the key is none.
        problem: It says that the provider is `away`, or that what it said was `refused`.
        reason: Why.
    """
    return render(
        Look.of(request),
        "sign_in.html",
        status=status,
        wanted=wanted,
        ended=ended,
        refused=refused,
        problem=problem,
        reason=reason,
        openid=None if request.app.state.openid is None else _OPENID,
    )


def _provider(request: Request) -> OpenIdSignIn:
    """Raises HTTPException: there is none."""
    openid: OpenIdSignIn | None = request.app.state.openid
    if openid is None:
        raise HTTPException(404)
    return openid


def _back(request: Request) -> str:
    return str(_runtime(request).settings.public_url).rstrip("/") + _OPENID_BACK


async def _count_failure(request: Request) -> None:
    """Raises TooManyRequests."""
    rates: Rates = request.app.state.rates
    await rates.count_failure(client_address(request))


def _place(wanted: str) -> str:
    """Where somebody goes who is signed in."""
    return wanted if is_own_path(urlsplit(wanted).path) and wanted.startswith(ROOT) else ROOT


def _refuse_other_sites(request: Request) -> None:
    """Nobody is signed in by a form of another site (there is no session yet whose token it could carry).

    Raises:
        Forbidden: it is one.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    host = request.headers.get("host", "")
    elsewhere = origin is not None and urlsplit(origin).netloc != host
    if site not in (None, "same-origin", "none") or (site is None and elsewhere):
        raise Forbidden("sign in on the page itself")


def _runtime(request: Request) -> Runtime:
    runtime: Runtime = request.app.state.runtime
    return runtime


ROUTERS = (_open, _own)
