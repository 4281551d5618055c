"""Errors in the Campaigns dialect (docs/contract/campaigns-api.md): `{"success": false, "error", "code", "details"?}`.

| what | status | code | details |
|---|---|---|---|
| a value cannot be used | 400 | VALIDATION_ERROR | `{"field"}` |
| it lacks an audience or a message | 400 | VALIDATION_ERROR | `{"field", "reason"}` |
| no key, or an unknown one | 401 | UNAUTHORIZED | |
| a role too low | 403 | FORBIDDEN | |
| no such campaign | 404 | CAMPAIGN_NOT_FOUND | |
| no such execution, webhook … | 404 | NOT_FOUND | |
| its status, or what runs, forbids it | 409 | INVALID_STATUS | `{"status"?, "reason"}` |
| something else needs it | 409 | IN_USE | |
| an idempotency key is taken | 409 | IDEMPOTENCY_CONFLICT | |
| too many requests, or more than the organization's part | 429 | RATE_LIMIT_EXCEEDED | `{"retryAfter"}`, in seconds |
| a body too long, or too slow | 413, 408 | BODY_TOO_LARGE, BODY_TOO_SLOW | |
| the database, or the keys of tokens' issuer, are away | 503 | SERVICE_UNAVAILABLE | |
| a bug | 500 | INTERNAL_ERROR | |
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import structlog
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from engine.api.answers import json_answer
from engine.api.errors import (
    BodyTooLarge,
    BodyTooSlow,
    Forbidden,
    RequestError,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    explained,
)
from engine.api.route import Route
from engine.kernel.idempotency import KeyConflict
from engine.kernel.inputs import InUse, Invalid
from engine.kernel.rule_violations import RuleCode, RuleViolation
from state.database import is_connection_loss
from state.errors import IllegalTransition, NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response

__all__ = ["CampaignsRoute", "answer", "failure", "unrouted"]

log = structlog.get_logger(__name__)

#: Our words → the dialect's, for the paths that services name.
_NAMES = {
    "audience": "targetAudience",
    "conversion_rate": "conversionRate",
    "due_at": "scheduledAt",
    "ends_at": "endDate",
    "entity_schema": "schema",
    "misfire_hours": "misfireHours",
    "one_per_address": "onePerAddress",
    "reach": "targetPercentage",
    "starts_at": "startDate",
    "target_audience": "targetAudience",
    "template": "templateId",
}
_WORD = re.compile(r"[a-z_]+")
#: What a campaign lacks, by the rule that says so.
_LACKS = {
    RuleCode.CAMPAIGN_HAS_NO_TARGET: "targetAudience",
    RuleCode.TARGET_WITHOUT_FILTERS: "targetAudience",
    RuleCode.CAMPAIGN_HAS_NO_DELIVERY_METHOD: "messages",
}
_CODES: dict[int, str] = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}


class CampaignsRoute(Route):
    """A route of the Campaigns dialect."""

    def answer(self, error: Exception) -> Response:
        """See `answer`; knows the route's body model, for suggestions."""
        if isinstance(error, RequestValidationError):
            return answer(explained(self, error))
        return answer(error)


def failure(
    status: int,
    code: str,
    text: str,
    details: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An error in its envelope."""
    body: dict[str, Any] = {"success": False, "error": text, "code": code}
    if details:
        body["details"] = dict(details)
    return json_answer(body, status, headers)


def answer(error: Exception) -> Response:
    """The response to `error`."""
    if isinstance(error, RuleViolation):
        return _refused(error)
    if isinstance(error, Invalid):
        field = _named(error.field)
        return failure(400, "VALIDATION_ERROR", f"{field}: {error.message}", {"field": field})
    if isinstance(error, NotFound):
        code = "CAMPAIGN_NOT_FOUND" if error.entity == "campaign" else "NOT_FOUND"
        return failure(404, code, str(error))
    if isinstance(error, IllegalTransition):
        return failure(409, "INVALID_STATUS", str(error), {"status": error.current})
    if isinstance(error, InUse):
        return failure(409, "IN_USE", str(error))
    if isinstance(error, KeyConflict):
        return failure(409, "IDEMPOTENCY_CONFLICT", str(error))
    if isinstance(error, RequestError):
        return _unread(error)
    if isinstance(error, HTTPException):
        return unrouted(error.status_code, str(error.detail), error.headers)
    if isinstance(error, PoolTimeout) or is_connection_loss(error):
        log.warning("database.away", reason=str(getattr(error, "orig", error)))
        return failure(
            503, "SERVICE_UNAVAILABLE", "the database does not answer", headers={"retry-after": "2"}
        )
    log.error("api.bug", exc_info=error)
    return failure(500, "INTERNAL_ERROR", "internal error")


def unrouted(status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    """A path or a method that no route has."""
    return failure(status, _CODES.get(status, "BAD_REQUEST"), text, headers=headers)


def _refused(error: RuleViolation) -> Response:
    if error.code == RuleCode.CAMPAIGN_NOT_FOUND:
        return failure(404, "CAMPAIGN_NOT_FOUND", str(error))
    field = _LACKS.get(error.code)
    if field is not None:
        return failure(
            400, "VALIDATION_ERROR", f"{field}: {error}", {"field": field, "reason": str(error.code)}
        )
    return failure(409, "INVALID_STATUS", str(error), {"reason": str(error.code)})


def _unread(error: RequestError) -> Response:
    codes = {
        Unauthorized: "UNAUTHORIZED",
        Forbidden: "FORBIDDEN",
        BodyTooLarge: "BODY_TOO_LARGE",
        BodyTooSlow: "BODY_TOO_SLOW",
        TooManyRequests: "RATE_LIMIT_EXCEEDED",
        Unavailable: "SERVICE_UNAVAILABLE",
    }
    retry_after = error.headers.get("retry-after") if isinstance(error, TooManyRequests) else None
    details = None if retry_after is None else {"retryAfter": int(retry_after)}
    code = codes.get(type(error), "BAD_REQUEST")
    return failure(error.status, code, str(error), details, error.headers)


def _named(path: str) -> str:
    """A path in the dialect's words. What its author wrote below `filters` stays."""
    head, filters, tail = path.partition(".filters")
    return _WORD.sub(lambda found: _NAMES.get(found[0], found[0]), head) + filters + tail
