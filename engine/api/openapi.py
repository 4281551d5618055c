"""`/openapi.json`: what FastAPI derives, with what it cannot know put right.

Bad input is 422 in the Umanize dialect, else 400; every route needs a bearer key; every mutating one honours
`Idempotency-Key`.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any

import orjson
from fastapi.openapi.utils import get_openapi

from engine.api import umanize
from engine.api.route import Route
from engine.api.targeting import document as targeting

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fastapi import APIRouter
    from starlette.routing import BaseRoute

__all__ = ["OpenApiDocument"]

_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key with the same request is done once and answered the same for 24 hours; "
    "with another request, or while the first still runs, it is answered 409.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
_OPEN = ("/health/", "/metrics", "/u/", "/v1/inbound/voice/", "/v1/inbound/mail/")
_READS = ("get", "head")


class OpenApiDocument:
    """The document of some routes, made when it is first asked for: it takes seconds, so of many who ask at once one
    makes it.

    Args:
        title: Of what is described.
        version: Its version.
        description: What it does.
        routes: All of its routes.
        routers: Those of the dialects.
    """

    def __init__(
        self,
        title: str,
        version: str,
        description: str,
        routes: Sequence[BaseRoute],
        routers: Iterable[APIRouter],
    ) -> None:
        self._title, self._version, self._description = title, version, description
        self._routes = routes
        known = [route for router in routers for route in router.routes]
        self._questions = {one.operation_id for one in known if isinstance(one, Route) and not one.changes}
        self._making = Lock()
        self._made: dict[str, Any] | None = None
        self._text: bytes | None = None

    def as_json(self) -> dict[str, Any]:
        """The document."""
        with self._making:
            if self._made is None:
                made = get_openapi(
                    title=self._title,
                    version=self._version,
                    description=self._description,
                    routes=self._routes,
                )
                _put_right(made, self._questions)
                targeting.complete(made)
                self._made = made
            return self._made

    def as_text(self) -> bytes:
        """The same, as it is sent."""
        if self._text is None:
            self._text = orjson.dumps(self.as_json())
        return self._text


def _put_right(document: dict[str, Any], questions: set[str | None]) -> None:
    """`questions`: operations that are posted and change nothing."""
    components = document.setdefault("components", {})
    for name in ("HTTPValidationError", "ValidationError"):
        components.get("schemas", {}).pop(name, None)
    components["securitySchemes"] = {
        "ApiKey": {"type": "http", "scheme": "bearer", "description": "An API key, or a token (JWT)"},
        "ImbraceApiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
        "ImbraceAccessToken": {"type": "apiKey", "in": "header", "name": "x-access-token"},
        "UmanizeApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if not path.startswith(umanize.PREFIX):
                operation["responses"].pop("422", None)
            if path.startswith(_OPEN):
                continue
            names = ["ApiKey"]
            if path.startswith("/channel-service/"):
                names += ["ImbraceApiKey", "ImbraceAccessToken"]
            elif path.startswith(umanize.PREFIX):
                names.append("UmanizeApiKey")
            operation["responses"].setdefault(
                "429", {"description": "Too many requests; `Retry-After` says when to go on"}
            )
            operation["security"] = [{name: []} for name in names]
            if method not in _READS and operation.get("operationId") not in questions:
                operation.setdefault("parameters", []).append(_KEY)
