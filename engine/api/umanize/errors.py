"""Who asks and what goes wrong, in the Umanize dialect (docs/contract/enrolled-targets.md): FastAPI's own manners.

| what | status | body |
|---|---|---|
| a value cannot be used | 422 | `{detail: [{loc, msg, type}]}` |
| what is needed is not there: neither e-mail nor phone, no conversation | 400 | `{detail}` |
| no key, an unknown one | 401 | `{detail}` |
| a role too low | 403 | `{detail}` |
| an id that is unknown, purged or soft-deleted | 404 | `{detail}` |
| a rule forbids it, an idempotency key is taken | 409 | `{detail}` |
| the analyser gives no analysis | 502, or 503 where it may later | `{detail}` |
| too many requests | 429 | `{detail}` |
| the database, or the keys of tokens' issuer, are away | 503 | `{detail}` |
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import orjson
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.responses import Response

from engine.api.answers import json_answer
from engine.api.identity import BEARER
from engine.api.route import Route
from engine.api.targeting.errors import answer as targeting_answer
from engine.enrolled.customers import NoContact
from engine.goals.port import AnalysisFailed
from engine.goals.verify import NoConversation
from engine.kernel.inputs import Invalid
from engine.kernel.rule_violations import RuleCode, RuleViolation

if TYPE_CHECKING:
    from collections.abc import Sequence


__all__ = ["UmanizeRoute", "unrouted"]

_UNPROCESSABLE = 422
#: Errors of one answer; a broken list of a hundred thousand items is answered by its first.
_MOST = 100
_STEP = re.compile(r"[^.\[\]]+")


class UmanizeRoute(Route):
    """A route of the dialect."""

    credentials = (BEARER, "x-api-key")

    def answer(self, error: Exception) -> Response:
        """See the table above."""
        if isinstance(error, RequestValidationError):
            return _unprocessable(error.errors())
        if isinstance(error, ValidationError):
            found = error.errors(include_url=False, include_context=False, include_input=False)
            return _unprocessable([{**one, "loc": ("body", *one["loc"])} for one in found[:_MOST]])
        if isinstance(error, Invalid):
            loc = (self._source(error.field), *_steps(error.field))
            return _unprocessable([{"loc": loc, "msg": error.message, "type": "value_error"}])
        if isinstance(error, NoContact | NoConversation):
            return unrouted(400, str(error))
        if isinstance(error, AnalysisFailed):
            again = {} if error.retry_after is None else {"retry-after": str(math.ceil(error.retry_after))}
            return unrouted(503 if error.transient else 502, f"{error.code}: {error}", again)
        if isinstance(error, RuleViolation):
            return unrouted(404 if error.code == RuleCode.CAMPAIGN_NOT_FOUND else 409, str(error))
        response = targeting_answer(error)
        headers = {
            name: value
            for name, value in response.headers.items()
            if name not in ("content-length", "content-type")
        }
        return unrouted(response.status_code, orjson.loads(response.body)["message"], headers)

    def _source(self, field: str) -> str:
        """Where a value came from that a service refused."""
        if field.partition(".")[0] in {parameter.name for parameter in self.dependant.path_params}:
            return "path"
        return "query" if "GET" in (self.methods or ()) else "body"


def unrouted(status: int, detail: str, headers: Any = None) -> Response:
    """An error that is about no single value; also a path or a method that no route has."""
    return json_answer({"detail": detail}, status, headers)


def _steps(path: str) -> list[str | int]:
    """`items[3].customer_id` as FastAPI writes it."""
    if path == "body":
        return []
    return [int(step) if step.isdecimal() else step for step in _STEP.findall(path)]


def _unprocessable(errors: Sequence[Any]) -> Response:
    detail = [
        {"loc": _place(one), "msg": str(one["msg"]), "type": str(one["type"])} for one in errors[:_MOST]
    ]
    return json_answer({"detail": detail}, _UNPROCESSABLE)


def _place(error: Any) -> list[str | int]:
    """Where it is; what cannot be stored may lie deeper than the model looks."""
    loc = [part if isinstance(part, int) else str(part) for part in error["loc"]]
    return loc + _steps(error["ctx"]["path"]) if error["type"] == "unstorable" else loc
