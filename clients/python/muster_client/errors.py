"""What can go wrong with a call, by what a producer can do about it."""

from __future__ import annotations

import json
from typing import Any

__all__ = [
    "ApiError",
    "BadRequest",
    "Conflict",
    "ConnectionFailed",
    "Forbidden",
    "MusterError",
    "NotFound",
    "RateLimited",
    "ServerError",
    "Unauthorized",
    "error_of",
]

_LONGEST_BODY = 500


class MusterError(Exception):
    """Base of everything that the client raises."""


class ConnectionFailed(MusterError):
    """No answer came: the server is away, or did not answer in time. The call may have been carried out."""


class ApiError(MusterError):
    """The server refused."""

    def __init__(
        self, status: int, message: str, *, field: str | None, code: str | None, request_id: str | None
    ) -> None:
        super().__init__(f"{status} {message}")
        self.status = status
        """Of HTTP."""
        self.message = message
        self.field = field
        """Which field of the request it is about, where the server named one: `touchpoints[0].template_id`."""
        self.code = code
        """A stable code, where there is one: `CAMPAIGN_HAS_NO_TARGET`."""
        self.request_id = request_id
        """Under which the server's log tells about it."""


class BadRequest(ApiError):
    """The request cannot be done as it is; `field` or `code` says why (400, 413, 422)."""


class Unauthorized(ApiError):
    """The key is unknown or was revoked (401)."""


class Forbidden(ApiError):
    """The key's role does not reach that far (403)."""


class NotFound(ApiError):
    """There is no such row (404)."""


class Conflict(ApiError):
    """Something else stands against it (409)."""


class RateLimited(ApiError):
    """Too many calls, and they stayed too many (429)."""


class ServerError(ApiError):
    """The fault is not the caller's (5xx)."""


_KINDS: dict[int, type[ApiError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    429: RateLimited,
}
_SERVER = 500


def error_of(status: int, body: bytes, request_id: str | None) -> ApiError:
    """The error that an answer stands for. Every dialect's shape is understood, and anything else is shown."""
    try:
        told: Any = json.loads(body)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        told = {"message": body[:_LONGEST_BODY].decode(errors="replace")}
    code = told.get("code")
    message = next((told[name] for name in ("message", "error", "detail", "code") if told.get(name)), "")
    if not isinstance(message, str):
        message = _first(message) or json.dumps(message)
    field, found, _ = message.partition(": ")
    named = bool(found) and bool(field) and " " not in field and not field.startswith(("[", "{"))
    kind = _KINDS.get(status, ServerError if status >= _SERVER else BadRequest)
    return kind(
        status,
        message or "no reason was given",
        field=field if named else None,
        code=code if isinstance(code, str) else None,
        request_id=request_id,
    )


def _first(details: Any) -> str | None:
    """The first of FastAPI's `[{"loc", "msg"}]`, as `field: message`."""
    try:
        loc, message = details[0]["loc"], details[0]["msg"]
        return f"{'.'.join(map(str, loc[1:]))}: {message}"
    except (KeyError, IndexError, TypeError):
        return None
