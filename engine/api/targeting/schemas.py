"""The answers of the Targeting dialect: one model an object, absent rather than null (docs/contract/targeting.md).

Every object of our own carries the system fields of the dialect's entities, and `id` beside `_id`
(docs/contract/targeting.md).
"""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from engine.campaigns.absent import left_out
from engine.engagement.email import EmailStatus
from engine.kernel.rule_violations import RuleCode
from state.transitions import AutomationStatus, EntityUiStatus, PortalStatus

__all__ = [
    "Answer",
    "Campaign",
    "CampaignAnswer",
    "CampaignStatus",
    "Channel",
    "ChannelCheck",
    "ClientError",
    "Count",
    "DomainFinding",
    "Entity",
    "Flow",
    "JobStatus",
    "Organization",
    "Portal",
    "ProductRecommendation",
    "Recipient",
    "Recipients",
    "Results",
    "Retriggered",
    "ServerError",
    "System",
    "Target",
    "Widget",
]


class Answer(BaseModel):
    """Base of what is sent."""

    model_config = ConfigDict(populate_by_name=True, json_schema_extra=left_out)

    def sent(self) -> dict[str, Any]:
        """As JSON values; what is absent is left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class MessageError(BaseModel):
    """What is wrong, in a sentence that names the field."""

    model_config = ConfigDict(extra="forbid")

    message: str


class CodeError(BaseModel):
    """Which rule forbids it."""

    model_config = ConfigDict(extra="forbid")

    code: RuleCode


class StatusedError(BaseModel):
    """What is wrong, with its status. Clients expect it; none of our answers has this form."""

    model_config = ConfigDict(extra="forbid")

    error: str
    status: int


ClientError = MessageError | CodeError | StatusedError


class ServerError(BaseModel):
    """The fault is not the caller's."""

    model_config = ConfigDict(extra="forbid")

    status: int
    message: str


class Owner(Answer):
    """Whose it is."""

    org_id: str
    user_id: str | None = None


class Acl(Answer):
    """Who else may see, change or delete it. Ours is empty: an organization keeps to itself."""

    model_config = ConfigDict(extra="allow")

    view: list[str] | None = None
    edit: list[str] | None = None
    delete: list[str] | None = None


class System(Answer):
    """What every object has."""

    id_: UUID = Field(alias="_id")
    id: UUID
    org: str = Field(alias="_org")
    owners: list[Owner] = Field(alias="_owners")
    schema_: str = Field(alias="_schema")
    title_: str = Field(alias="_title")
    tags: list[str] = Field(alias="_tags", default_factory=list)
    created_at_: datetime = Field(alias="_created_at")
    updated_at_: datetime = Field(alias="_updated_at")
    acl: Acl = Field(alias="_acl", default_factory=Acl)


class Related(Answer):
    """One end of a relation."""

    entity_id: UUID
    tags: list[str] = Field(alias="_tags", default_factory=list)


class Relation(Answer):
    """Entities that an attribute refers to."""

    relation: list[Related] = Field(alias="$relation")


class CampaignStatus(StrEnum):
    """What a campaign is, in the dialect's words (docs/contract/states.md)."""

    DRAFT = "draft"
    ACTIVATING = "activating"
    ACTIVE = "active"
    INACTIVE = "inactive"


class Campaign(System):
    """A campaign. `status` is the dialect's word; `state` is exactly what it is (paused, completed …)."""

    name: str
    description: str | None = None
    goal: str | None = None
    status: CampaignStatus
    state: str
    ends: str
    start_date: date | None = None
    end_date: date | None = None
    flow_id: UUID | None = None
    job_id: UUID | None = None
    limits: dict[str, Any] | None = None
    next_best_action: dict[str, Any] | None = None
    tracking: dict[str, bool] | None = None
    attribution_days: int
    one_per_address: bool
    topic_id: UUID | None = None
    target: Relation
    target_ids: list[UUID]


class CampaignAnswer(Answer):
    """What `changeCampaignStatus` answers."""

    campaign: Campaign


class Execution(Answer):
    """One recipient's current execution."""

    execution_id: str
    execution_status: str


class Waiting(Answer):
    """What holds a campaign back."""

    scope: str = Field(description="campaign, channel, organization, domain, recipients …")
    subject: str | None = Field(
        default=None, description="Which of the scope: a mail domain, a channel's name."
    )
    code: str
    reason: str
    stops: bool = Field(description="False: it goes on, more slowly.")
    since: datetime | None = None
    until: datetime | None = None
    rate: float | None = Field(default=None, description="Messages a second that it goes on with.")


class JobStatus(Answer):
    """How far a campaign's job is. Empty for a campaign that has none."""

    status: Literal["queued", "processing", "finished", "failed", "cancelled", "send_report"] | None = None
    execution_summary: list[Execution] | None = Field(
        default=None, description="At most the 1,000 executions that were started last."
    )
    execution_counts: dict[str, int] | None = Field(
        default=None, description="All the campaign's recipients by automation status."
    )
    waiting: list[Waiting] | None = Field(
        default=None, description="What holds it back, what stops all of it first; while it is not over."
    )
    estimated_completion: datetime | None = Field(
        default=None, description="When the rest will be done; absent when nobody can say."
    )


class ClickedLink(Answer):
    """One click."""

    url: str
    clicked_at: datetime


class Recipient(Answer):
    """One entity in one campaign."""

    entity_id: UUID
    entity_schema: str
    title: str
    automation_status: AutomationStatus | None = None
    automation_execution_id: str | None = None
    portal_status: PortalStatus | None = None
    portal_status_updated_at: datetime | None = None
    portal_state: dict[str, Any] | None = None
    entity_ui_status: EntityUiStatus | None = None
    entity_ui_status_updated_at: datetime | None = None
    entity_ui_status_before_dismiss: EntityUiStatus | None = Field(
        default=None, description="Means something only while entity_ui_status is dismissed."
    )
    message_entity_id: str | None = Field(
        default=None, description="By which reports about the e-mail find back to this recipient."
    )
    email_status: EmailStatus | None = None
    email_status_updated_at: datetime | None = Field(
        default=None, description="When something came back; absent while the status is the automation's."
    )
    email_bounce_type: Literal["permanent", "transient"] | None = None
    email_bounce_subtype: str | None = None
    email_complaint_type: str | None = None
    email_bounce_reason: str | None = None
    email_send_error: dict[str, Any] | None = None
    email_unsubscribed_at: datetime | None = None
    email_open_count: int | None = None
    email_first_opened_at: datetime | None = None
    email_last_opened_at: datetime | None = None
    email_click_count: int | None = None
    email_first_clicked_at: datetime | None = None
    email_clicked_links: list[ClickedLink] | None = Field(default=None, description="The latest 100.")
    updated_at: datetime
    error_code: str | None = None
    error_text: str | None = None


class Recipients(Answer):
    """A page of recipients."""

    results: list[Recipient]
    next: str | None
    total: int


class RetriggerResult(Answer):
    """What became of one id."""

    recipient_id: UUID
    result: Literal["success", "failure", "not_found", "invalid_status"]
    execution_id: UUID | None = None
    error: str | None = None


class Retriggered(Answer):
    """What `retriggerCampaignAutomations` answers."""

    message: str
    results: list[RetriggerResult]


class Target(System):
    """A saved audience."""

    name: str
    description: str | None = None
    entity_schema: str
    entity_filters: dict[str, Any] | None = None


class Count(Answer):
    """How many entities are in a target."""

    count: int


class PreviewNote(Answer):
    """Something to know before a campaign for a target is activated."""

    message: str
    count: int
    key: str | None = None


class TargetPreview(Count):
    """Whom a campaign for a target would be for, and what is odd about their data."""

    notes: list[PreviewNote]


class Step(Answer):
    """One touchpoint of a flow."""

    id: UUID
    type: str
    name: str
    description: str | None = None
    status: str
    condition: dict[str, Any] | None = None
    settings: dict[str, Any] | None = None
    template_id: UUID | None = None
    content: dict[str, Any] | None = None
    variants: list[dict[str, Any]] | None = None
    channel_id: UUID | None = None


class Flow(System):
    """An automation flow."""

    name: str
    touchpoints: list[Step]


class Channel(System):
    """A configured sender. Its credentials are never among the answers; `has_credentials` says whether there
    are any.
    """

    name: str
    kind: str
    settings: dict[str, Any]
    has_credentials: bool
    is_default: bool
    doubt_policy: str
    max_attempts: int
    retry_base_seconds: float
    retry_span_seconds: float
    cost_per_message: float
    fallback_channel_id: UUID | None = None
    limits: dict[str, Any] | None = None
    tracking: dict[str, bool] | None = None
    blocked_until: datetime | None = None
    blocked_reason: str | None = None
    breaker_opened_at: datetime | None = None
    """Since when its provider has been down."""


class DomainFinding(Answer):
    """One thing that receivers look at: SPF, DKIM, DMARC, its alignment, answers, reverse name, TLS."""

    name: str
    ok: bool | None
    """Absent: not wrong, and worth a look."""
    found: str
    remedy: str | None = None
    """What to publish or to change."""


class ChannelCheck(Answer):
    """Whether a channel's provider answers and accepts the credentials."""

    ok: bool
    message: str | None = None
    records: list[DomainFinding] | None = None
    """Of a mail channel: what is published for the domain that it sends from."""


class Organization(Answer):
    """The organization that the key belongs to."""

    id_: UUID = Field(alias="_id")
    name: str
    time_zone: str | None = None
    region: str | None = None
    limits: dict[str, Any] | None = None


class Topic(System):
    """A kind of messages that people may opt out of."""

    name: str
    description: str | None = None


class Portal(System):
    """A customer portal."""

    name: str
    origin: str | None = None
    domain: str | None = None


class Widget(System):
    """A block of a portal."""

    portal_id: UUID
    campaign_id: UUID | None = None
    type: str
    headline: dict[str, str] | None = None


class ProductRecommendation(System):
    """What a campaign offers."""

    campaign_id: UUID
    name: str
    source_product_id: UUID | None = None
    source_price_id: UUID | None = None
    offers: list[dict[str, Any]]


class Entity(System):
    """A contact, a contract, or whatever its schema names; its attributes stand beside the system fields."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)

    external_id: str | None = None


class Results(Answer):
    """A page of a list."""

    results: list[dict[str, Any]]
    next: str | None
    total: int
