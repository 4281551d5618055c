"""What the Umanize dialect takes and answers (docs/contract/enrolled-targets.md). Nothing is null: what is absent is
left out.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, StringConstraints

from engine.campaigns.absent import NeverNull, left_out

__all__ = [
    "COMMON",
    "MISSING",
    "UmanizeBulkItem",
    "UmanizeBulkResult",
    "UmanizeEnrolled",
    "UmanizeStage",
    "UmanizeTarget",
    "UmanizeTargets",
]


class _Sent(BaseModel):
    model_config = ConfigDict(json_schema_extra=left_out)

    def sent(self) -> dict[str, Any]:
        """As JSON values; what is absent is left out."""
        return self.model_dump(mode="json", exclude_none=True)


class UmanizeCustomer(_Sent):
    """Somebody who is a target."""

    id: UUID
    customer_id: str | None = None
    """The key in the caller's own system."""
    name: str | None = None
    surname: str | None = None
    email: str | None = None
    phone: str | None = None
    status: str | None = None
    agent_id: UUID | None = None
    created_at: datetime
    updated_at: datetime


class UmanizeTarget(_Sent):
    """A target, with its customer, its counters, and what was found out about it."""

    id: UUID
    campaign_id: UUID
    customer_id: UUID
    assigned_agent_id: UUID | None = None
    stage: str
    calls_made: int
    whatsapp_sent: int
    email_sent: int
    ai_label: Literal["positive", "negative", "neutral", "unknown"]
    ai_score: float | None = None
    ai_reason: str | None = None
    goal_analysis: dict[str, Any] | None = None
    analysis_source: str | None = None
    call_successful: str | None = None
    call_summary_title: str | None = None
    transcript_summary: str | None = None
    agent_goal_result: str | None = None
    agent_goal_rationale: str | None = None
    customer_sentiment: str | None = None
    customer_sentiment_rationale: str | None = None
    follow_up_required: bool | None = None
    follow_up_required_rationale: str | None = None
    escalation_required: bool | None = None
    escalation_required_rationale: str | None = None
    campaign_goal_result: str | None = None
    campaign_goal_score: float | None = None
    campaign_goal_rationale: str | None = None
    campaign_sentiment: str | None = None
    campaign_sentiment_rationale: str | None = None
    callback_requested: bool | None = None
    callback_requested_rationale: str | None = None
    campaign_next_best_action: str | None = None
    campaign_analysis_updated_at: datetime | None = None
    analysis_updated_at: datetime | None = None
    last_contacted_at: datetime | None = None
    last_email_at: datetime | None = None
    last_conv_id: str | None = None
    created_at: datetime
    updated_at: datetime
    customer: UmanizeCustomer


class UmanizeSort(_Sent):
    """An order."""

    field: str
    direction: Literal["asc", "desc"]


class UmanizeMeta(_Sent):
    """Where a page stands."""

    total: int
    limit: int
    offset: int
    sort: UmanizeSort | None = None
    next: str | None = None
    """The `cursor` of the page behind; absent: this is the last."""


class UmanizeQuery(_Sent):
    """What was asked for, as it was understood."""

    q: str | None = None
    filters: dict[str, Any] | None = None
    date_from: datetime | None = None
    date_to: datetime | None = None
    sort: UmanizeSort | None = None


class UmanizeAggregations(_Sent):
    """How many targets there are of what lists are filtered by."""

    quick_filters: dict[str, int] | None = None
    extra: dict[str, Any] | None = None


class UmanizeTargets(_Sent):
    """A page of targets."""

    data: list[UmanizeTarget]
    meta: UmanizeMeta
    query: UmanizeQuery
    aggregations: UmanizeAggregations | None = None


class UmanizeStage(NeverNull):
    """Where a target is to be."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    stage: Annotated[str, StringConstraints(min_length=1, max_length=64)]


class UmanizeBulkItem(BaseModel):
    """An existing customer. (For the document: bodies are read by `enrolling.WISHES`, which keeps less of them.)"""

    model_config = ConfigDict(json_schema_extra=left_out)

    customer_id: UUID
    assigned_agent_id: UUID | None = None


class UmanizeBulkError(_Sent):
    """An item that could not be enrolled."""

    customer_id: UUID
    message: str


class UmanizeBulkResult(_Sent):
    """What became of the items."""

    total: int
    created: int
    skipped: int
    errors: list[UmanizeBulkError]


class UmanizeEnrolled(_Sent):
    """Whether a customer was enrolled."""

    created: bool
    skipped: bool
    reason: str | None = None


class UmanizeDetail(_Sent):
    """What is wrong."""

    detail: str


class UmanizeWrong(_Sent):
    """A value that cannot be used."""

    loc: list[str | int]
    msg: str
    type: str


class UmanizeInvalid(_Sent):
    """Values that cannot be used."""

    detail: list[UmanizeWrong]


def _told(model: type[BaseModel], text: str) -> dict[str, Any]:
    return {"model": model, "description": text}


#: Every route.
COMMON: dict[int | str, dict[str, Any]] = {
    401: _told(UmanizeDetail, "No key, or an unknown one"),
    403: _told(UmanizeDetail, "The key's role does not reach that far"),
    404: _told(UmanizeDetail, "There is no such campaign or target"),
    422: _told(UmanizeInvalid, "A value cannot be used"),
    500: _told(UmanizeDetail, "A fault of ours"),
}
#: Routes that need something that may not be there.
MISSING: dict[int | str, dict[str, Any]] = {400: _told(UmanizeDetail, "What is needed is not there")}
