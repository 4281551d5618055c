"""Errors in the Targeting dialect (docs/contract/targeting.md): four closed shapes and nothing else.

| what | status | body |
|---|---|---|
| a rule of the campaign's life forbids it | 400 | `{code}` |
| a value cannot be used | 400 | `{message}`, naming the field |
| no key, a role too low | 401, 403 | `{message}` |
| an id of our own routes that does not exist | 404 | `{message}` |
| something else needs it, a status cannot follow, an idempotency key is taken | 409 | `{message}` |
| the database is away | 503 | `{status, message}` |
| a bug | 500 | `{status, message}` |
"""

from __future__ import annotations

import structlog
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.responses import Response

from engine.api.answers import json_answer
from engine.api.errors import RequestError, explained
from engine.api.route import Route
from engine.audience.filters import FilterError
from engine.campaigns.errors import Refused
from engine.idempotency import KeyConflict
from engine.inputs import InUse, Invalid
from engine.principal import Role
from state.database import is_connection_loss
from state.errors import IllegalTransition, NotFound

__all__ = ["AdminReadRoute", "AdminRoute", "StreamedRoute", "TargetingRoute", "answer"]

log = structlog.get_logger(__name__)

_UNAUTHORIZED = 401


class TargetingRoute(Route):
    """A route of the Targeting dialect."""

    def answer(self, error: Exception) -> Response:
        """See `answer`; knows the route's body model, for suggestions."""
        if isinstance(error, RequestValidationError):
            return _message(str(explained(self, error)), 400)
        return answer(error)


class StreamedRoute(TargetingRoute):
    """A route whose body is read while it arrives."""

    streams = True


class AdminRoute(TargetingRoute):
    """A route that only an admin's key may change things by."""

    role = Role.ADMIN


class AdminReadRoute(AdminRoute):
    """A route that only an admin's key may read."""

    def needs(self, method: str) -> Role:  # noqa: ARG002 - every method
        """An admin."""
        return Role.ADMIN


def answer(error: Exception) -> Response:
    """The response to `error`."""
    if isinstance(error, Refused):
        return json_answer({"code": error.code}, 400)
    if isinstance(error, Invalid | FilterError):
        return _message(str(error), 400)
    if isinstance(error, NotFound):
        return _message(str(error), 404)
    if isinstance(error, InUse | IllegalTransition | KeyConflict):
        return _message(str(error), 409)
    if isinstance(error, RequestError):
        response = _message(str(error), error.status)
        if error.status == _UNAUTHORIZED:
            response.headers["www-authenticate"] = "Bearer"
        return response
    if isinstance(error, HTTPException):
        return json_answer({"message": error.detail}, error.status_code, error.headers)
    if isinstance(error, PoolTimeout) or is_connection_loss(error):
        log.warning("database.away", reason=str(getattr(error, "orig", error)))
        headers = {"retry-after": "2"}
        return json_answer({"status": 503, "message": "the database does not answer"}, 503, headers)
    log.error("api.bug", exc_info=error)
    return json_answer({"status": 500, "message": "internal error"}, 500)


def _message(text: str, status: int) -> Response:
    return json_answer({"message": text}, status)
