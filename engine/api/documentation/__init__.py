"""`/docs` and `/openapi.json`: the API's document, shown by a Swagger UI that is served from here and loads nothing
from elsewhere (swagger_ui/README.md has its version and licence).

The page is open and says nothing of an installation. The document, and `/metrics`, are open where the operator says so
(`MUSTER_OPEN_DOCS`, `MUSTER_OPEN_METRICS`), or in one process that somebody develops against; else they need a key.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from engine.api.answers import json_answer
from engine.api.errors import RequestError
from engine.api.identity import BEARER, identify
from engine.kernel.principal import Role

if TYPE_CHECKING:
    from engine.api.metrics import Metrics
    from engine.api.openapi import OpenApiDocument
    from engine.kernel.runtime import Runtime

__all__ = ["router"]

router = APIRouter()

_TYPES = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8"}
_FILES = {
    "start.js": "start.js",
    "swagger-ui-bundle.js": "swagger_ui/swagger-ui-bundle.js",
    "swagger-ui.css": "swagger_ui/swagger-ui.css",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Muster: API</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="stylesheet" href="docs/swagger-ui.css">
<form hidden><label>API key <input name="key" type="password" autocomplete="off"></label> <button>Show</button></form>
<div id="swagger-ui"></div><script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script></html>"""


@router.get("/docs", include_in_schema=False)
async def page() -> Response:
    """The page."""
    return HTMLResponse(_PAGE, headers={"content-security-policy": _POLICY})


@router.get("/docs/{name}", include_in_schema=False)
async def file(name: str) -> Response:
    """A file of the page."""
    if name not in _FILES:
        return json_answer({"message": f"there is no route /docs/{name}"}, 404)
    media_type = _TYPES[name.rpartition(".")[2]]
    return Response(_content(name), media_type=media_type, headers={"cache-control": "public, max-age=86400"})


@cache
def _content(name: str) -> bytes:
    return (files("engine.api.documentation") / _FILES[name]).read_bytes()


@router.get("/openapi.json", include_in_schema=False)
async def document(request: Request) -> Response:
    """The document."""
    settings = _runtime(request).settings
    refused = await _refused(request, opened=settings.docs_are_open, needs=Role.VIEWER)
    found: OpenApiDocument = request.app.state.document
    return refused or Response(await run_sync(found.as_text), media_type="application/json")


@router.get("/metrics", tags=["Operations"], operation_id="metrics")
async def metrics(request: Request) -> Response:
    """Prometheus' text format, or OpenMetrics where `Accept` asks for it."""
    settings = _runtime(request).settings
    refused = await _refused(request, opened=settings.metrics_are_open, needs=Role.ADMIN)
    if refused is not None:
        return refused
    found: Metrics = request.app.state.metrics
    text, media_type = await run_sync(found.text, request.headers.get("accept", ""))
    return Response(text, media_type=media_type)


async def _refused(request: Request, *, opened: bool, needs: Role) -> Response | None:
    """The answer to somebody who may not see it; None: they may."""
    if opened:
        return None
    try:
        principal = await identify(request, (BEARER, "x-api-key"))
    except RequestError as error:
        return json_answer({"message": str(error)}, error.status, error.headers)
    if principal.role < needs:
        return json_answer({"message": f"this needs the role {needs.word}"}, 403)
    return None


def _runtime(request: Request) -> Runtime:
    runtime: Runtime = request.app.state.runtime
    return runtime
