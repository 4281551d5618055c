"""What the client gives and takes: the answers of the API as dictionaries whose fields are known.

They are what came over the wire, unchanged: fields of your own and fields of a newer server are in there as well.
"""

from __future__ import annotations

from typing import Any, Generic, Literal, TypedDict, TypeVar

__all__ = [
    "Campaign",
    "CampaignList",
    "Channel",
    "Checked",
    "Count",
    "EmailStats",
    "Entity",
    "Flow",
    "ImportResult",
    "JobStatus",
    "LineError",
    "MoveAnswer",
    "Moved",
    "Page",
    "Recipient",
    "RetriggerResult",
    "Retriggered",
    "StatusChanged",
    "Target",
    "Template",
    "Touchpoint",
    "TouchpointList",
    "Validation",
]

T = TypeVar("T")

CampaignStatus = Literal["draft", "active", "paused", "completed", "cancelled"]
TouchpointStatus = Literal["active", "inactive", "archived", "update_needed"]


# The alternative syntax: `_id` is a field like any other, and class bodies would mangle nothing but read worse.
class _Row(TypedDict):
    _id: str


class _Dated(_Row):
    created_at: str
    updated_at: str


class Campaign(_Dated, total=False):
    """A campaign (docs/contract/imbrace.md)."""

    name: str
    status: CampaignStatus
    description: str
    channel_type: str


class CampaignList(TypedDict):
    """Some campaigns, and how many there are."""

    data: list[Campaign]
    total: int


class Touchpoint(_Dated, total=False):
    """One step of a campaign."""

    name: str
    type: Literal["message", "wait", "action"]
    status: TouchpointStatus
    position: int
    campaign_id: str
    description: str
    message: str | dict[str, Any]


class TouchpointList(TypedDict):
    """Some touchpoints, and how many there are."""

    data: list[Touchpoint]
    total: int


class Validation(TypedDict):
    """What is wrong with a touchpoint."""

    valid: bool
    errors: list[str]
    duplicate: bool


class JobStatus(TypedDict, total=False):
    """How far a campaign's job is; empty: it has none."""

    status: Literal["queued", "processing", "send_report", "finished", "failed", "cancelled"]
    execution_summary: list[dict[str, str]]
    execution_counts: dict[str, int]


class StatusChanged(TypedDict):
    """The campaign as it is after its status changed, in the Targeting API's words."""

    campaign: dict[str, Any]


class Moved(TypedDict, total=False):
    """The campaign's status after it was paused or resumed, in the Campaigns API's words
    (docs/contract/campaigns-api.md).
    """

    status: Literal["paused", "active"]
    message: str
    pausedAt: str
    resumedAt: str


class MoveAnswer(TypedDict):
    """The envelope that it comes in."""

    success: bool
    data: Moved


class Recipient(TypedDict, total=False):
    """One entity in one campaign, and what happened to it there."""

    entity_id: str
    entity_schema: str
    title: str
    automation_status: str
    automation_execution_id: str
    portal_status: str
    email_status: str
    error_code: str
    error_text: str
    updated_at: str


class RetriggerResult(TypedDict, total=False):
    """What became of one id."""

    recipient_id: str
    result: Literal["success", "failure", "not_found", "invalid_status"]
    execution_id: str
    error: str


class Retriggered(TypedDict):
    """Who runs again."""

    message: str
    results: list[RetriggerResult]


class EmailStats(TypedDict, total=False):
    """What became of a campaign's e-mail."""

    total: int
    sent: int
    delivered: int
    bounced: int
    complained: int
    failed: int


class Entity(_Row, total=False):
    """A contact, a contract, or whatever its schema names; attributes stand beside these."""

    _schema: str
    _title: str
    external_id: str


class Target(_Row, total=False):
    """A saved audience."""

    name: str
    description: str
    entity_schema: str
    entity_filters: dict[str, Any]


class Template(_Row, total=False):
    """A message template."""

    name: str
    subject: str
    html: str
    text: str


class Channel(_Row, total=False):
    """A configured sender."""

    name: str
    kind: str
    settings: dict[str, Any]
    has_credentials: bool
    is_default: bool


class Flow(_Row, total=False):
    """An automation flow."""

    name: str
    touchpoints: list[dict[str, Any]]


class Count(TypedDict):
    """How many entities a target lets through."""

    count: int


class Checked(TypedDict, total=False):
    """Whether a channel's provider answers and accepts the credentials."""

    ok: bool
    message: str


class LineError(TypedDict):
    """What is wrong with one line of a file, counted from 1."""

    line: int
    message: str


class ImportResult(TypedDict):
    """What became of a file of entities."""

    created: int
    updated: int
    skipped: int
    rejected: int
    errors: list[LineError]
    notes: list[LineError]


class Page(TypedDict, Generic[T]):
    """A page of a list, and where the next one begins."""

    results: list[T]
    next: str | None
    total: int
