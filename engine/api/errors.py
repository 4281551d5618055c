"""What can be wrong with a request before any service sees it."""

from __future__ import annotations

__all__ = ["BodyTooLarge", "BodyTooSlow", "Forbidden", "RequestError", "Unauthorized"]


class RequestError(Exception):
    """Base; `status` is the HTTP status it is answered with."""

    status = 400


class Unauthorized(RequestError):
    """No key, or none that opens anything."""

    status = 401


class Forbidden(RequestError):
    """The key's role does not reach that far."""

    status = 403


class BodyTooLarge(RequestError):
    """The body is longer than its route takes."""

    status = 413


class BodyTooSlow(RequestError):
    """The body stopped arriving."""

    status = 408
