"""Why a campaign may not do what was asked, in the codes of the Targeting API (docs/contract/targeting.md)."""

from __future__ import annotations

from enum import StrEnum

from config.errors import MusterError

__all__ = ["RuleCode", "RuleViolation"]


class RuleCode(StrEnum):
    """The stable codes."""

    CAMPAIGN_NOT_FOUND = "CAMPAIGN_NOT_FOUND"
    CAMPAIGN_HAS_UNEXPECTED_STATUS = "CAMPAIGN_HAS_UNEXPECTED_STATUS"
    CAMPAIGN_HAS_NO_TARGET = "CAMPAIGN_HAS_NO_TARGET"
    TARGET_WITHOUT_FILTERS = "TARGET_WITHOUT_FILTERS"
    CAMPAIGN_HAS_NO_DELIVERY_METHOD = "CAMPAIGN_HAS_NO_DELIVERY_METHOD"
    INVALID_NEXT_BEST_ACTION = "INVALID_NEXT_BEST_ACTION"
    CAMPAIGN_HAS_JOB_IN_PROGRESS = "CAMPAIGN_HAS_JOB_IN_PROGRESS"
    JOB_TOKEN_MISSING = "JOB_TOKEN_MISSING"  # noqa: S105 - a code


class RuleViolation(MusterError):
    """The rule `code` forbids it. Nothing was changed."""

    def __init__(self, code: RuleCode, message: str) -> None:
        super().__init__(message)
        self.code = code
