"""The answers of the API as dictionaries with known fields.

They are the parsed JSON, unchanged: fields of your own and fields of a newer server are in them as well. A field that
is not `NotRequired` is in every answer.
"""

from typing import Any, Generic, Literal, NotRequired, TypedDict, TypeVar

__all__ = [
    "Campaign",
    "CampaignList",
    "Channel",
    "Checked",
    "Count",
    "EmailStats",
    "Entity",
    "Finding",
    "Flow",
    "ImportResult",
    "JobExecution",
    "JobStatus",
    "LineError",
    "MoveAnswer",
    "Moved",
    "Page",
    "Recipient",
    "RetriggerResult",
    "Retriggered",
    "StatusChanged",
    "Step",
    "Target",
    "Template",
    "Touchpoint",
    "TouchpointList",
    "Validation",
    "Waiting",
]

T = TypeVar("T")

CampaignStatus = Literal["draft", "active", "paused", "completed", "cancelled"]
TouchpointStatus = Literal["active", "inactive", "archived", "update_needed"]


class _Row(TypedDict):
    _id: str


class _Dated(_Row):
    created_at: str
    updated_at: str


class _System(_Row):
    """The fields of every object of the Targeting API (docs/contract/targeting.md)."""

    id: str
    _org: str
    _schema: str
    _title: str
    _tags: list[str]
    _created_at: str
    _updated_at: str


class Campaign(_Dated):
    """A campaign (docs/contract/imbrace.md)."""

    name: str
    status: CampaignStatus
    description: NotRequired[str]
    channel_type: NotRequired[str]


class CampaignList(TypedDict):
    """Some campaigns, and how many there are."""

    data: list[Campaign]
    total: int


class Touchpoint(_Dated):
    """One step of a campaign."""

    name: str
    type: Literal["message", "wait", "action"]
    status: TouchpointStatus
    position: int
    campaign_id: NotRequired[str]
    description: NotRequired[str]
    message: NotRequired[str | dict[str, Any]]


class TouchpointList(TypedDict):
    """Some touchpoints, and how many there are."""

    data: list[Touchpoint]
    total: int


class Validation(TypedDict):
    """The errors of a touchpoint."""

    valid: bool
    errors: list[str]
    duplicate: bool


class JobExecution(TypedDict):
    """One recipient's current execution."""

    execution_id: str
    execution_status: str


class Waiting(TypedDict):
    """A limit or a pause that holds a campaign back."""

    scope: str
    subject: NotRequired[str]
    code: str
    reason: str
    stops: bool
    """False: it slows the campaign down only."""
    since: NotRequired[str]
    until: NotRequired[str]
    rate: NotRequired[float]
    """Messages a second that the campaign continues with."""


class JobStatus(TypedDict):
    """The progress of a campaign's job; empty if the campaign has none."""

    status: NotRequired[Literal["queued", "processing", "send_report", "finished", "failed", "cancelled"]]
    execution_summary: NotRequired[list[JobExecution]]
    execution_counts: NotRequired[dict[str, int]]
    waiting: NotRequired[list[Waiting]]
    estimated_completion: NotRequired[str]


class StatusChanged(TypedDict):
    """The campaign after its status changed, in the fields of the Targeting API."""

    campaign: dict[str, Any]


class Moved(TypedDict):
    """The campaign's status after it was paused or resumed, in the fields of the Campaigns API
    (docs/contract/campaigns-api.md).
    """

    status: Literal["paused", "active"]
    message: str
    pausedAt: NotRequired[str]
    resumedAt: NotRequired[str]


class MoveAnswer(TypedDict):
    """The envelope of `Moved`."""

    success: bool
    data: Moved


class Recipient(TypedDict):
    """One entity in one campaign, and its statuses there."""

    entity_id: str
    entity_schema: str
    title: str
    automation_status: NotRequired[str]
    automation_execution_id: NotRequired[str]
    portal_status: NotRequired[str]
    email_status: NotRequired[str]
    error_code: NotRequired[str]
    error_text: NotRequired[str]
    updated_at: str


class RetriggerResult(TypedDict):
    """The result for one id."""

    recipient_id: str
    result: Literal["success", "failure", "not_found", "invalid_status"]
    execution_id: NotRequired[str]
    error: NotRequired[str]


class Retriggered(TypedDict):
    """The results of a retrigger."""

    message: str
    results: list[RetriggerResult]


class EmailStats(TypedDict):
    """A campaign's recipients by the status of their e-mail."""

    total_emailed: int
    sent: int
    delivered: int
    bounced: int
    complained: int
    failed: int
    bounced_hard: int
    bounced_soft: int
    unsubscribed: int
    opened: int
    """Recipients who opened it at least once."""
    clicked: int
    total_opens: int
    total_clicks: int


class Entity(_System):
    """A contact, a contract or another schema's object; its attributes stand beside these fields."""

    external_id: NotRequired[str]


class Target(_System):
    """A saved audience."""

    name: str
    description: NotRequired[str]
    entity_schema: str
    entity_filters: NotRequired[dict[str, Any]]


class Template(_System):
    """A message template."""

    name: str
    subject: str
    html: NotRequired[str]
    text: NotRequired[str]
    sender: dict[str, str]
    defaults: dict[str, Any]


class Channel(_System):
    """A configured sender."""

    name: str
    kind: str
    settings: dict[str, Any]
    has_credentials: bool
    is_default: bool
    max_attempts: int
    blocked_until: NotRequired[str]
    blocked_reason: NotRequired[str]


class Step(TypedDict):
    """One touchpoint of a flow."""

    id: str
    type: str
    name: str
    description: NotRequired[str]
    status: str
    condition: NotRequired[dict[str, Any]]
    settings: NotRequired[dict[str, Any]]
    template_id: NotRequired[str]
    content: NotRequired[dict[str, Any]]
    channel_id: NotRequired[str]


class Flow(_System):
    """An automation flow."""

    name: str
    touchpoints: list[Step]


class Count(TypedDict):
    """How many entities a target matches."""

    count: int


class Finding(TypedDict):
    """One record of a mail domain that receivers check, its present value, and the value to publish."""

    name: str
    ok: NotRequired[bool]
    """Absent: not wrong, but worth a look."""
    found: str
    remedy: NotRequired[str]


class Checked(TypedDict):
    """Whether a channel's provider answers and accepts the credentials."""

    ok: bool
    message: NotRequired[str]
    records: NotRequired[list[Finding]]
    """Of a mail channel: the records of the domain that it sends from."""


class LineError(TypedDict):
    """The error of one line of a file, counted from 1."""

    line: int
    message: str


class ImportResult(TypedDict):
    """The result of an import of entities."""

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
