"""The control API: every dialect, health, metrics and documentation in one application.

Threads and connections are kept in step: an endpoint holds one connection while it works, so no more
endpoints run at once than the pool has connections, less those that the clock and a scrape may need
meanwhile.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from anyio.to_thread import current_default_thread_limiter, run_sync
from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from engine.api import (
    calls,
    campaigns,
    experiments,
    health,
    imbrace,
    imports,
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
from engine.api.metrics import Metrics
from engine.api.openapi import described
from engine.api.watch import JobWatch
from engine.events.hub import EventHub
from engine.tracking.hits import Hits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from engine.runtime import Runtime

__all__ = ["create_app"]

#: Connections that are not endpoints': the clock's, a scrape's, the one that records hits, and those of imports.
_SPARE = 3 + imports.AT_ONCE
_NOT_FOUND = 404


def create_app(runtime: Runtime) -> FastAPI:
    """The application over `runtime`, which stays its caller's to close."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        threads = current_default_thread_limiter()
        threads.total_tokens = max(1, runtime.settings.database_pool - _SPARE)
        hits: Hits = app.state.hits
        hits.start()
        try:
            yield
        finally:
            await run_sync(hits.stop)

    app = FastAPI(
        title="Muster",
        version=_version(),
        description="Campaign delivery: audiences, campaigns, flows, and the truth about every recipient.",
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.state.runtime = runtime
    app.state.watch = JobWatch(runtime)
    app.state.hub = EventHub(runtime)
    app.state.imports = imports.limiter()
    app.state.hits = Hits(runtime)
    app.state.metrics = metrics = Metrics(runtime)
    app.add_middleware(RequestContext, metrics=metrics)
    app.add_exception_handler(HTTPException, _unrouted)
    app.include_router(health.router)
    app.include_router(unsubscribe.router)
    app.include_router(tracking.router)
    app.include_router(calls.router)
    app.add_api_route("/metrics", _metrics, tags=["Operations"], operation_id="metrics")
    ours = (stream.router, experiments.router, *webhooks.ROUTERS)
    for router in (*ours, *targeting.ROUTERS, *campaigns.ROUTERS, *imbrace.ROUTERS, *umanize.ROUTERS):
        app.include_router(router)
    app.openapi = described(app)  # type: ignore[method-assign]  # as FastAPI documents it
    return app


def _metrics(request: Request) -> Response:
    """Prometheus text."""
    metrics: Metrics = request.app.state.metrics
    return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


async def _unrouted(request: Request, error: Exception) -> Response:
    """A path or a method that no route has."""
    status, detail, headers = 500, "internal error", None
    if isinstance(error, HTTPException):
        status, detail, headers = error.status_code, str(error.detail), error.headers
    if status == _NOT_FOUND:
        detail = f"there is no route {request.url.path}"
    if request.url.path.startswith("/api/"):
        return unrouted(status, detail, headers)
    if request.url.path.startswith(umanize.PREFIX):
        return umanize.unrouted(status, detail, headers)
    return json_answer({"message": detail}, status, headers)


def _version() -> str:
    try:
        return version("muster")
    except PackageNotFoundError:  # run from a checkout that was not installed
        return "0"
