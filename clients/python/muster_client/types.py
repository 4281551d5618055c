"""The answers of the API as dictionaries with known fields.

They are the parsed JSON, unchanged: fields of your own and fields of a newer server are in them as well. A field that
is not `NotRequired` is in every answer.
"""

from typing import Any, Generic, Literal, NotRequired, TypedDict, TypeVar

__all__ = [
    "AbTest",
    "AbTestList",
    "Answered",
    "Attachment",
    "AttachmentWithContent",
    "Campaign",
    "CampaignList",
    "CampaignPlan",
    "Channel",
    "Checked",
    "Cloned",
    "Count",
    "Customer",
    "EmailStats",
    "EnrolledTarget",
    "EnrolledTargetPage",
    "Enrolment",
    "EnrolmentError",
    "EnrolmentResult",
    "Entity",
    "Erasure",
    "ErrorCount",
    "Event",
    "EventAnswer",
    "EventAnswers",
    "EventName",
    "EventNames",
    "Executed",
    "Execution",
    "ExecutionList",
    "Finding",
    "Flow",
    "ImportResult",
    "JobExecution",
    "JobStatus",
    "LineError",
    "Moved",
    "Page",
    "PersonExport",
    "PreviewNote",
    "Progress",
    "ProgressCounts",
    "Recipient",
    "RetriggerResult",
    "Retriggered",
    "Statistics",
    "StatusChanged",
    "Step",
    "Suppression",
    "SuppressionImport",
    "Target",
    "TargetPreview",
    "Template",
    "TemplatePreview",
    "TemplateTest",
    "TimelineEntry",
    "Topic",
    "Touchpoint",
    "TouchpointList",
    "Validation",
    "Waiting",
    "Webhook",
    "WebhookDelivery",
    "WebhookDeliveryPage",
    "WebhookList",
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


class Answered(TypedDict, Generic[T]):
    """The envelope of an answer of the Campaigns API."""

    success: bool
    data: T


class Executed(TypedDict):
    """A run that begins, or is scheduled."""

    executionId: str
    status: str
    message: str
    estimatedCompletion: NotRequired[str]
    scheduledAt: NotRequired[str]


class Execution(TypedDict):
    """A run of a campaign, a scheduled start or a test run."""

    executionId: str
    kind: str
    status: str
    createdAt: str
    targetPercentage: NotRequired[float]
    priority: NotRequired[str]
    scheduledAt: NotRequired[str]
    startedAt: NotRequired[str]
    finishedAt: NotRequired[str]
    total: NotRequired[int]
    successful: NotRequired[int]
    failed: NotRequired[int]
    errors: list[dict[str, Any]]
    reason: NotRequired[str]


class ExecutionList(TypedDict):
    """A campaign's executions, newest first."""

    executions: list[Execution]


class Cloned(TypedDict):
    """A copy of a campaign."""

    id: str
    name: str
    status: str
    message: str


class ProgressCounts(TypedDict):
    """A campaign's recipients by what became of them."""

    percentage: float
    processed: int
    total: int
    successful: int
    failed: int
    pending: int
    inProgress: int
    cancelled: int
    excluded: int


class ErrorCount(TypedDict):
    """How many recipients have one error."""

    code: str
    count: int
    message: str


class Progress(TypedDict):
    """How far a campaign is, how fast it goes, and why it waits."""

    status: str
    progress: ProgressCounts
    currentRate: float
    """Messages a minute."""
    errors: list[ErrorCount]
    waiting: list[dict[str, Any]]
    executionId: NotRequired[str]
    estimatedCompletion: NotRequired[str]


class Statistics(TypedDict, total=False):
    """What came of a campaign: the sections that were asked for (docs/statistics.md)."""

    overview: dict[str, Any]
    performance: dict[str, float]
    """Per hundred messages sent."""
    timeline: list[dict[str, Any]]
    segments: list[dict[str, Any]]
    variants: list[dict[str, Any]]


class AbTest(TypedDict):
    """An A/B test of a campaign."""

    id: str
    status: str
    touchpointId: str
    metric: str
    sample: float
    holdout: float
    decideAfterHours: float
    confidence: float
    whenInconclusive: str
    looks: int
    name: NotRequired[str]
    winner: NotRequired[str]
    result: NotRequired[dict[str, Any]]
    startedAt: NotRequired[str]
    nextLookAt: NotRequired[str]
    decidedAt: NotRequired[str]


class AbTestList(TypedDict):
    """The A/B test of a campaign, or none."""

    abTests: list[AbTest]


class CampaignPlan(TypedDict):
    """What an activation would do (docs/plan.md)."""

    campaign_id: str
    campaign: str
    status: str
    fails: bool
    matched: int
    beyond_reach: int
    already_reached: int
    recipients: int
    looked_at: int
    sampled: bool
    written_to: int
    excluded: list[dict[str, Any]]
    channels: list[dict[str, Any]]
    shared_addresses: int
    repeated_messages: int
    shared: list[dict[str, Any]]
    without_zone: int
    hours_matter: bool
    cost: float
    budget: NotRequired[float]
    begins_at: NotRequired[str]
    ends_at: NotRequired[str]
    seconds: NotRequired[float]
    departures: list[dict[str, Any]]
    samples: list[dict[str, Any]]
    errors: list[str]
    warnings: list[str]


class TimelineEntry(TypedDict):
    """Something that happened to a recipient."""

    at: str
    what: str
    """A stable id: `message.sent`, `email.clicked`, `address.suppressed`."""
    data: dict[str, Any]


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


class Topic(_System):
    """A kind of messages that people may opt out of."""

    name: str
    description: NotRequired[str]


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


class PreviewNote(TypedDict):
    """Something to know before a campaign for a target is activated."""

    message: str
    count: int
    key: NotRequired[str]
    """The attribute that it is about."""


class TargetPreview(Count):
    """How many entities a target matches, and what is odd about their data."""

    notes: list[PreviewNote]


class Attachment(_System):
    """A file that goes with every message of a template."""

    template_id: str
    filename: str
    content_type: str
    content_id: NotRequired[str]
    size: int
    """Bytes."""


class AttachmentWithContent(Attachment):
    """A file, and what is in it."""

    content: str
    """In base64."""


class TemplatePreview(TypedDict):
    """What a template says to somebody."""

    subject: str
    html: NotRequired[str]
    text: NotRequired[str]
    data: NotRequired[dict[str, Any]]
    headers: list[dict[str, str]]
    attachments: list[str]
    """Their file names."""
    size: int
    """Bytes of the e-mail."""
    warnings: list[str]


class TemplateTest(TypedDict):
    """The provider's answer to one message to an address of your own."""

    outcome: Literal["delivered", "rejected", "deferred", "throttled", "down", "doubtful", "released"]
    code: NotRequired[str]
    message: NotRequired[str]


class PersonExport(TypedDict):
    """Everything that is known of a person."""

    entity: dict[str, Any]
    suppressions: list[dict[str, Any]]
    topic_opt_outs: list[dict[str, Any]]
    """Topics that they do not want."""
    contacts: list[dict[str, Any]]
    """Messages that frequency caps count."""
    campaigns: list[dict[str, Any]]
    """Each with its recipient, executions and engagement."""


class Erasure(TypedDict):
    """An erasure: how far it is, and that it was done."""

    _id: str
    entity_id: str
    schema: str
    status: Literal["running", "erased", "done"]
    asked_at: str
    asked_by: str
    erased_at: NotRequired[str]
    last_look_at: NotRequired[str]
    counts: dict[str, int]


class Suppression(TypedDict):
    """An address that must not be used."""

    id: str
    medium: str
    channel_kind: NotRequired[str]
    address: str
    """In the one form of its medium."""
    reason: str
    campaign_id: NotRequired[str]
    """Absent: no campaign may use it."""
    created_at: str


class EventAnswer(TypedDict):
    """The answer to one reported event."""

    index: int
    status: Literal["accepted", "duplicate", "ignored", "rejected"]
    id: NotRequired[str]
    message: NotRequired[str]
    campaign_id: NotRequired[str]
    recipient_id: NotRequired[str]


class EventAnswers(TypedDict):
    """The answers to reported events, in their order, and how many there are of each status."""

    accepted: int
    duplicate: int
    ignored: int
    rejected: int
    results: list[EventAnswer]


class Event(TypedDict):
    """An event as webhooks and the stream carry it (docs/webhooks.md)."""

    id: str
    event: str
    timestamp: str
    data: dict[str, Any]
    position: NotRequired[str]
    """In the stream: where to go on."""


class EventName(TypedDict):
    """An event that there is, and what it says."""

    name: str
    says: str


class EventNames(TypedDict):
    """The events that there are."""

    events: list[EventName]


class Webhook(TypedDict):
    """A subscription to events over HTTP."""

    id: str
    url: str
    events: list[str]
    active: bool
    createdAt: str
    updatedAt: str
    description: NotRequired[str]
    disabledReason: NotRequired[str]
    failingSince: NotRequired[str]
    previousSecretUntil: NotRequired[str]
    secret: NotRequired[str]
    """Only in the answer that follows its making."""


class WebhookList(TypedDict):
    """Webhooks, newest first."""

    webhooks: list[Webhook]


class WebhookDelivery(TypedDict):
    """One event on its way to one webhook."""

    id: str
    webhookId: str
    eventId: str
    event: str
    status: Literal["pending", "delivered", "dead"]
    attempts: int
    createdAt: str
    campaignId: NotRequired[str]
    responseStatus: NotRequired[int]
    error: NotRequired[str]
    durationMs: NotRequired[int]
    redeliveryOf: NotRequired[str]
    attemptedAt: NotRequired[str]
    nextAttemptAt: NotRequired[str]
    deliveredAt: NotRequired[str]


class WebhookDeliveryPage(TypedDict):
    """Some deliveries, newest first, and where the next ones begin."""

    deliveries: list[WebhookDelivery]
    next: NotRequired[str]


class Customer(TypedDict):
    """A person who is enrolled."""

    id: str
    customer_id: NotRequired[str]
    """The key in your own system."""
    name: NotRequired[str]
    surname: NotRequired[str]
    email: NotRequired[str]
    phone: NotRequired[str]
    status: NotRequired[str]
    agent_id: NotRequired[str]
    created_at: str
    updated_at: str


class EnrolledTarget(TypedDict):
    """A customer as the target of a campaign; the fields of an analysis stand beside these, once there is one."""

    id: str
    campaign_id: str
    customer_id: str
    assigned_agent_id: NotRequired[str]
    stage: str
    calls_made: int
    whatsapp_sent: int
    email_sent: int
    ai_label: Literal["positive", "negative", "neutral", "unknown"]
    created_at: str
    updated_at: str
    customer: Customer


class _EnrolledMeta(TypedDict):
    total: int
    next: NotRequired[str]


class EnrolledTargetPage(TypedDict):
    """A page of a campaign's targets."""

    data: list[EnrolledTarget]
    meta: _EnrolledMeta


class Enrolment(TypedDict):
    """Whether a customer was enrolled."""

    created: bool
    skipped: bool
    reason: NotRequired[str]


class EnrolmentError(TypedDict):
    """A customer who could not be enrolled."""

    customer_id: str
    message: str


class EnrolmentResult(TypedDict):
    """What became of several customers."""

    total: int
    created: int
    skipped: int
    errors: list[EnrolmentError]


class LineError(TypedDict):
    """The error of one line of a file, counted from 1."""

    line: int
    message: str


class SuppressionImport(TypedDict):
    """The result of an import of addresses."""

    created: int
    skipped: int
    rejected: int
    errors: list[LineError]


class ImportResult(SuppressionImport):
    """The result of an import of entities."""

    updated: int
    notes: list[LineError]


class Page(TypedDict, Generic[T]):
    """A page of a list, and where the next one begins."""

    results: list[T]
    next: str | None
    total: int
