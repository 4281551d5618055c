"""Errors in the Targeting dialect (docs/contract/targeting.md): four closed shapes and nothing else.

| what | status | body |
|---|---|---|
| a rule of the campaign's life forbids it | 400 | `{code}` |
| a value cannot be used | 400 | `{message}`, naming the field |
| no key, a role too low for the route or for a value | 401, 403 | `{message}` |
| an id of our own routes that does not exist | 404 | `{message}` |
| something else needs it, a status cannot follow, an idempotency key is taken | 409 | `{message}` |
| too many requests, or more than the organization's part | 429 | `{message}` |
| the database, or the keys of tokens' issuer, are away | 503 | `{status, message}` |
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
from engine.authentication.api_keys import RoleTooHigh
from engine.filters.filters import FilterError
from engine.kernel.idempotency import KeyConflict
from engine.kernel.inputs import AdminsOnly, InUse, Invalid
from engine.kernel.principal import Role
from engine.kernel.rule_violations import RuleViolation
from state.database import is_connection_loss
from state.errors import IllegalTransition, NotFound

__all__ = ["AdminReadRoute", "AdminRoute", "StreamedRoute", "TargetingRoute", "answer"]

log = structlog.get_logger(__name__)

_FAILED = 500


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
    if isinstance(error, RuleViolation):
        return json_answer({"code": error.code}, 400)
    if isinstance(error, Invalid | FilterError):
        return _message(str(error), 403 if isinstance(error, AdminsOnly) else 400)
    if isinstance(error, NotFound):
        return _message(str(error), 404)
    if isinstance(error, InUse | IllegalTransition | KeyConflict):
        return _message(str(error), 409)
    if isinstance(error, RoleTooHigh):
        return _message(str(error), 403)
    if isinstance(error, RequestError):
        return _failed(error)
    if isinstance(error, HTTPException):
        return json_answer({"message": error.detail}, error.status_code, error.headers)
    if isinstance(error, PoolTimeout) or is_connection_loss(error):
        log.warning("database.away", reason=str(getattr(error, "orig", error)))
        headers = {"retry-after": "2"}
        return json_answer({"status": 503, "message": "the database does not answer"}, 503, headers)
    log.error("api.bug", exc_info=error)
    return json_answer({"status": 500, "message": "internal error"}, 500)


def _failed(error: RequestError) -> Response:
    """Of the closed shapes, the one with a status is for what is not the caller's fault."""
    shown = {"message": str(error)}
    payload = {"status": error.status, **shown} if error.status >= _FAILED else shown
    return json_answer(payload, error.status, error.headers)


def _message(text: str, status: int) -> Response:
    return json_answer({"message": text}, status)
