"""Around every request: an id, one log line, two metrics, and an answer even to a bug outside of the routes.

Neither query strings, headers nor bodies are logged: they hold keys and people's addresses.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from uuid import uuid4

import structlog

from engine.api.answers import json_answer
from engine.kernel import tracing

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from engine.api.metrics import Metrics

__all__ = ["RequestContext"]

log = structlog.get_logger(__name__)

_LONGEST_ID = 128
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (
        b"content-security-policy",
        b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
    (b"x-frame-options", b"DENY"),
)
#: Routes whose paths hold what recipients were sent: an address among it.
_TELLING = ("/u/", "/t/")


class RequestContext:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _given_id(scope) or uuid4().hex
        started = time.perf_counter()
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*_guarded(message["headers"]), (b"x-request-id", request_id.encode())]
            await send(message)

        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id, client=_client(scope))
        try:
            with tracing.span(scope["method"], kind="server", parent=_header(scope, b"traceparent")) as span:
                await self._app(scope, receive, answer)
                route = getattr(scope.get("route"), "path", "unmatched")
                span.rename(f"{scope['method']} {route}")
                span.note(route=route, status=status, request_id=request_id)
        except Exception:
            log.exception("api.bug", method=scope["method"], path=scope["path"])
            if status:
                raise
            await json_answer({"status": 500, "message": "internal error"}, 500)(scope, receive, answer)
        finally:
            seconds = time.perf_counter() - started
            route = getattr(scope.get("route"), "path", "unmatched")
            self._metrics.observe(scope["method"], route, status, seconds)
            log.info(
                "api.request",
                method=scope["method"],
                route=route,
                path=route if route.startswith(_TELLING) else scope["path"],
                status=status,
                milliseconds=round(seconds * 1000, 1),
            )


def _guarded(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """An answer's headers with those that every answer has, unless it has its own: it is what it says it is, nothing in
    it is run, nobody frames it, and a page behind a link does not learn who followed it.
    """
    given = {name.lower() for name, _ in headers}
    return [*headers, *(one for one in _HEADERS if one[0] not in given)]


def _client(scope: Scope) -> str | None:
    """The client's network address."""
    client = scope.get("client")
    return None if client is None else str(client[0])


def _given_id(scope: Scope) -> str | None:
    """The caller's request id, if it is fit to be logged and sent back."""
    text = _header(scope, b"x-request-id")
    if text is None:
        return None
    return text if text.isascii() and text.isprintable() and 0 < len(text) <= _LONGEST_ID else None


def _header(scope: Scope, wanted: bytes) -> str | None:
    """A header's first value."""
    for name, value in scope["headers"]:
        if name == wanted:
            text: str = value.decode("latin-1").strip()
            return text
    return None
