"""Who asks and what goes wrong, in the iMBRACE dialect (docs/contract/imbrace.md): a status, and `{message}`.

| what | status |
|---|---|
| a value cannot be used; the message names the field | 400 |
| no key, an unknown one | 401 |
| a role too low, another organization's id | 403 |
| an id that is unknown or deleted | 404 |
| something else needs it, it is being delivered, an idempotency key is taken | 409 |
| too many requests | 429 |
| the database, or the keys of tokens' issuer, are away | 503 |

Its client repeats 429 and 503 whatever the method, and every 5xx of GET, PUT and DELETE; nothing that is the caller's
fault is answered so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
from starlette.responses import Response

from engine.api.answers import json_answer
from engine.api.errors import Forbidden
from engine.api.identity import BEARER
from engine.api.targeting.errors import TargetingRoute
from engine.kernel.principal import Role
from engine.kernel.rule_violations import RuleCode, RuleViolation

if TYPE_CHECKING:
    from fastapi import Request

    from engine.kernel.principal import Principal

__all__ = ["AskingRoute", "ImbraceRoute"]

_ORGANIZATION = "x-organization-id"


class ImbraceRoute(TargetingRoute):
    """A route of the dialect. The kinds of error are the Targeting API's; the words are fewer."""

    credentials = ("x-api-key", BEARER, "x-access-token")  # as the client chooses among them

    def admit(self, request: Request, principal: Principal) -> None:
        """A caller that names an organization must belong to it."""
        named = request.headers.get(_ORGANIZATION, "").strip()
        if named and named.lower() != str(principal.org_id):
            raise Forbidden(f"this key is not of the organization that {_ORGANIZATION} names")

    def answer(self, error: Exception) -> Response:
        """`{message}` and nothing else."""
        if isinstance(error, RuleViolation):
            status = 404 if error.code == RuleCode.CAMPAIGN_NOT_FOUND else 409
            return json_answer({"message": str(error)}, status)
        response = super().answer(error)
        message = orjson.loads(response.body)["message"]
        headers = {
            name: value
            for name, value in response.headers.items()
            if name not in ("content-length", "content-type")
        }
        return json_answer({"message": message}, response.status_code, headers)


class AskingRoute(ImbraceRoute):
    """A question that is posted: it changes nothing, and a viewer may ask it."""

    role = Role.VIEWER
