"""Kinds of route that differ in who may use them, or in what an unknown campaign is answered."""

from __future__ import annotations

from starlette.responses import Response

from engine.api.answers import json_answer
from engine.api.targeting.errors import TargetingRoute
from engine.campaigns.errors import Refusal, Refused
from engine.principal import Role

__all__ = ["FindingRoute", "ReadingRoute"]

_NOT_FOUND = 404


class FindingRoute(TargetingRoute):
    """A route that declares 404: an unknown campaign is one. (Where it is not declared it is 400.)"""

    def answer(self, error: Exception) -> Response:
        """See `TargetingRoute.answer`."""
        if isinstance(error, Refused) and error.code == Refusal.CAMPAIGN_NOT_FOUND:
            return json_answer({"code": error.code}, _NOT_FOUND)
        return super().answer(error)


class ReadingRoute(TargetingRoute):
    """A question too long for a URL: it is posted, changes nothing, and a viewer may ask it."""

    role = Role.VIEWER
