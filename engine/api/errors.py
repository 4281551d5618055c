"""What can be wrong with a request before any service sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from config.errors import MusterError
from engine.kernel.inputs import Invalid, explain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi.exceptions import RequestValidationError
    from fastapi.routing import APIRoute

__all__ = [
    "BodyTooLarge",
    "BodyTooSlow",
    "ClientGone",
    "Forbidden",
    "RequestError",
    "TooManyRequests",
    "Unauthorized",
    "Unavailable",
    "explained",
]

#: Where FastAPI says a value came from, before the value's own path.
_SOURCES = ("body", "path", "query", "header")


class RequestError(MusterError):
    """Base; `status` is the HTTP status it is answered with, `headers` go with it."""

    status = 400

    def __init__(self, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.headers = dict(headers or {})


class Unauthorized(RequestError):
    """No credential, or none that opens anything."""

    status = 401

    def __init__(self, message: str, *, tried: bool = True) -> None:
        super().__init__(message, {"www-authenticate": "Bearer"})
        self.tried = tried
        """Whether there was a credential."""


class Unavailable(RequestError):
    """What the request needs is away for the moment."""

    status = 503


class TooManyRequests(RequestError):
    """The caller takes more than its part; the headers say from when on it may go on."""

    status = 429


class ClientGone(RequestError):
    """The client closed the connection; nobody reads the answer."""

    status = 499


class Forbidden(RequestError):
    """The key's role does not reach that far."""

    status = 403


class BodyTooLarge(RequestError):
    """The body is longer than its route takes."""

    status = 413


class BodyTooSlow(RequestError):
    """The body stopped arriving."""

    status = 408


def explained(route: APIRoute, error: RequestValidationError) -> Invalid:
    """What FastAPI found wrong with a request, as ours: the first thing, by field; knows the route's body model, for
    suggestions.
    """
    model = route.body_field.field_info.annotation if route.body_field is not None else None
    return explain([{**found, "loc": _place(found)} for found in error.errors()], model)


def _place(found: dict[str, Any]) -> tuple[Any, ...]:
    """Where in the caller's own words, without FastAPI's name of the source."""
    if found["type"] == "json_invalid":
        return ()
    loc = tuple(found["loc"])
    return loc[1:] if loc and loc[0] in _SOURCES else loc
