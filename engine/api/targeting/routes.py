"""Kinds of route that differ in who may use them, how long their bodies are, or in what an unknown campaign is
answered.
"""

from __future__ import annotations

from starlette.responses import Response

from engine.api.answers import json_answer
from engine.api.bodies import LONG_BODY
from engine.api.targeting.errors import TargetingRoute
from engine.kernel.principal import Role
from engine.kernel.rule_violations import RuleCode, RuleViolation

__all__ = ["FindingRoute", "LongRoute", "MailRoute", "ReadingRoute", "RetriggerRoute"]

_NOT_FOUND = 404


class FindingRoute(TargetingRoute):
    """A route that declares 404: an unknown campaign is one. (Where it is not declared it is 400.)"""

    def answer(self, error: Exception) -> Response:
        """See `TargetingRoute.answer`."""
        if isinstance(error, RuleViolation) and error.code == RuleCode.CAMPAIGN_NOT_FOUND:
            return json_answer({"code": error.code}, _NOT_FOUND)
        return super().answer(error)


class ReadingRoute(TargetingRoute):
    """A question too long for a URL: it is posted, changes nothing, and a viewer may ask it."""

    role = Role.VIEWER


class LongRoute(TargetingRoute):
    """A route whose bodies hold files: templates with their attachments."""

    longest = LONG_BODY


class RetriggerRoute(LongRoute):
    """A route whose bodies name many recipients: 200,000 and more."""

    most_values = 250_000


class MailRoute(LongRoute):
    """A route whose bodies are mails, not JSON."""

    most_values = None
