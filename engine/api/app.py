"""The control API: every dialect, the console, health, metrics and documentation in one application.

Threads and connections are kept in step: an endpoint holds one connection while it works, so no more
endpoints run at once than the pool has connections, less those that the clock and a scrape may need
meanwhile. One organization's take half of them at most.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING

from anyio.to_thread import current_default_thread_limiter, run_sync
from fastapi import APIRouter, FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from config.version import version
from engine.api import (
    calls,
    campaigns,
    console,
    documentation,
    experiments,
    health,
    imbrace,
    mail_events,
    pictures,
    stream,
    targeting,
    tracking,
    umanize,
    unsubscribe,
    webhooks,
)
from engine.api.answers import json_answer
from engine.api.campaigns.errors import unrouted
from engine.api.context import RequestContext
from engine.api.credentials_watch import CredentialWatch
from engine.api.identity import token_verifier
from engine.api.imports import AT_ONCE, Imports
from engine.api.metrics import Metrics
from engine.api.openapi import OpenApiDocument
from engine.api.rates import Rates
from engine.api.shared_lookups import SharedLookups
from engine.api.shares import Shares, Turns
from engine.api.watch import THREADS, JobWatch
from engine.authentication.openid_keys import TokenKeys
from engine.authentication.openid_sign_in import OpenIdSignIn
from engine.events.hub import EventHub
from engine.inbound.hits import Hits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from engine.kernel.runtime import Runtime

__all__ = ["DIALECTS", "api_document", "create_app"]

#: Connections that are not endpoints': the clock's, a scrape's, the one that records hits, those of imports and polls.
_SPARE = 3 + AT_ONCE + THREADS
_NOT_FOUND = 404
_TITLE = "Muster"
_DESCRIPTION = "Campaign delivery: audiences, campaigns, flows, and the truth about every recipient."
#: The routers of the API; the console, health, metrics and links in mails have others.
DIALECTS = (
    stream.router,
    experiments.router,
    *webhooks.ROUTERS,
    *targeting.ROUTERS,
    *campaigns.ROUTERS,
    *imbrace.ROUTERS,
    *umanize.ROUTERS,
)


def create_app(runtime: Runtime) -> FastAPI:
    """The application over `runtime`, which stays its caller's to close."""
    endpoints = max(1, runtime.settings.database_pool - _SPARE)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        threads = current_default_thread_limiter()
        threads.total_tokens = endpoints
        hits: Hits = app.state.hits
        hits.start()
        try:
            yield
        finally:
            await run_sync(hits.stop)
            rates: Rates = app.state.rates
            await rates.close()

    app = FastAPI(
        title=_TITLE,
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.state.runtime = runtime
    jwks = runtime.settings.jwt_jwks
    keys = None if jwks is None else TokenKeys(jwks)
    app.state.tokens = token_verifier(runtime.settings, keys)
    app.state.openid = OpenIdSignIn.of(runtime.settings, keys)
    app.state.watch = JobWatch(runtime)
    app.state.hub = hub = EventHub(runtime)
    app.state.credentials = CredentialWatch(runtime, notify=hub.wake)
    app.state.shares = shares = Shares(Turns(each=max(1, endpoints // 2)))
    app.state.live = console.LiveViews(runtime, shares.pages)
    app.state.imports = Imports(shares.imports)
    app.state.rates = Rates(runtime.settings)
    app.state.lookups = SharedLookups()
    app.state.hits = Hits(runtime)
    app.state.metrics = metrics = Metrics(runtime)
    app.add_middleware(RequestContext, metrics=metrics)
    app.add_exception_handler(HTTPException, _unrouted)
    app.router.routes.extend(_routes().routes)
    app.state.document = document = api_document()
    app.openapi = document.as_json  # type: ignore[method-assign]  # as FastAPI documents it
    return app


@cache
def _routes() -> APIRouter:
    """Every route, once in a process: what FastAPI derives from an endpoint's signature takes long."""
    routes = APIRouter()
    routes.include_router(health.router)
    routes.include_router(unsubscribe.router)
    routes.include_router(tracking.router)
    routes.include_router(pictures.router)
    routes.include_router(calls.router)
    routes.include_router(mail_events.router)
    routes.include_router(documentation.router)
    for router in (*DIALECTS, *console.ROUTERS):
        routes.include_router(router)
    return routes


@cache
def api_document() -> OpenApiDocument:
    """That of every route, once in a process."""
    return OpenApiDocument(_TITLE, version(), _DESCRIPTION, _routes().routes, DIALECTS)


async def _unrouted(request: Request, error: Exception) -> Response:
    """A path or a method that no route has."""
    status, detail, headers = 500, "internal error", None
    if isinstance(error, HTTPException):
        status, detail, headers = error.status_code, str(error.detail), error.headers
    if status == _NOT_FOUND:
        detail = f"there is no route {request.url.path}"
        if request.url.path.startswith(console.ROOT):
            return console.missing_page(request)
    if request.url.path.startswith("/api/"):
        return unrouted(status, detail, headers)
    if request.url.path.startswith(umanize.PREFIX):
        return umanize.unrouted(status, detail, headers)
    return json_answer({"message": detail}, status, headers)
