"""`/openapi.json`: what FastAPI derives, with what it cannot know put right.

Bad input is 422 in the Umanize dialect, else 400; every route needs a bearer key; every mutating one honours
`Idempotency-Key`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.openapi.utils import get_openapi

from engine.api import umanize
from engine.api.targeting import document as targeting

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI

__all__ = ["described"]

_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key with the same request is done once and answered the same for 24 hours; "
    "with another request, or while the first still runs, it is answered 409.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
_OPEN = ("/health/", "/metrics", "/u/", "/v1/inbound/voice/")
_READS = ("get", "head")


def described(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """A function that gives the document of `app`, made once."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(
                title=app.title, version=app.version, description=app.description, routes=app.routes
            )
            _put_right(made)
            targeting.complete(made)
            app.openapi_schema = made
        return app.openapi_schema

    return document


def _put_right(document: dict[str, Any]) -> None:
    components = document.setdefault("components", {})
    for name in ("HTTPValidationError", "ValidationError"):
        components.get("schemas", {}).pop(name, None)
    components["securitySchemes"] = {
        "ApiKey": {"type": "http", "scheme": "bearer"},
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
            operation["security"] = [{name: []} for name in names]
            if method not in _READS:
                operation.setdefault("parameters", []).append(_KEY)
