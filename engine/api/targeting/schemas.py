"""The answers of the Targeting dialect: one model an object, absent rather than null (contract.md §1).

Every object of our own carries the system fields of the dialect's entities, and `id` beside `_id`
(contract.md §7.4).
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "Campaign",
    "CampaignAnswer",
    "Channel",
    "ChannelCheck",
    "ClientError",
    "Count",
    "Entity",
    "EntityImport",
    "Flow",
    "JobStatus",
    "LineError",
    "Portal",
    "Recipient",
    "Recipients",
    "Results",
    "Retriggered",
    "ServerError",
    "Suppressed",
    "SuppressionImport",
    "System",
    "Target",
    "Template",
    "Widget",
]


class Answer(BaseModel):
    """Base of what is sent."""

    model_config = ConfigDict(populate_by_name=True)

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

    code: str


ClientError = MessageError | CodeError


class ServerError(BaseModel):
    """The fault is not the caller's."""

    model_config = ConfigDict(extra="forbid")

    status: int
    message: str


class Owner(Answer):
    """Whose it is."""

    org_id: str


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
    acl: dict[str, Any] = Field(alias="_acl", default_factory=dict)


class Related(Answer):
    """One end of a relation."""

    entity_id: UUID
    tags: list[str] = Field(alias="_tags", default_factory=list)


class Relation(Answer):
    """Entities that an attribute refers to."""

    relation: list[Related] = Field(alias="$relation")


class Campaign(System):
    """A campaign. `status` is the dialect's word; `state` is exactly what it is (paused, completed …)."""

    name: str
    description: str | None = None
    goal: str | None = None
    status: str
    state: str
    ends: str
    start_date: date | None = None
    end_date: date | None = None
    flow_id: UUID | None = None
    job_id: UUID | None = None
    target: Relation
    target_ids: list[UUID]


class CampaignAnswer(Answer):
    """What `changeCampaignStatus` answers."""

    campaign: Campaign


class Execution(Answer):
    """One recipient's current execution."""

    execution_id: str
    execution_status: str


class JobStatus(Answer):
    """How far a campaign's job is. Empty for a campaign that has none."""

    status: str | None = None
    execution_summary: list[Execution] | None = Field(
        default=None, description="At most the 1,000 executions that were started last."
    )
    execution_counts: dict[str, int] | None = Field(
        default=None, description="All the campaign's recipients by automation status."
    )


class Recipient(Answer):
    """One entity in one campaign."""

    entity_id: UUID
    entity_schema: str
    title: str
    automation_status: str | None = None
    automation_execution_id: str | None = None
    portal_status: str | None = None
    portal_status_updated_at: datetime | None = None
    portal_state: dict[str, Any] | None = None
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
    result: str
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


class Step(Answer):
    """One touchpoint of a flow."""

    id: UUID
    type: str
    name: str
    template_id: UUID | None = None
    channel_id: UUID | None = None


class Flow(System):
    """An automation flow."""

    name: str
    touchpoints: list[Step]


class Template(System):
    """A message template."""

    name: str
    subject: str
    html: str | None = None
    text: str | None = None
    sender: dict[str, str]
    defaults: dict[str, Any]


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
    blocked_until: datetime | None = None
    blocked_reason: str | None = None


class ChannelCheck(Answer):
    """Whether a channel's provider answers and accepts the credentials."""

    ok: bool
    message: str | None = None


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


class Entity(System):
    """A contact, a contract, or whatever its schema names; its attributes stand beside the system fields."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)

    external_id: str | None = None


class Suppressed(Answer):
    """An address that must not be used."""

    id: UUID
    channel_kind: str
    address: str
    reason: str
    created_at: datetime


class LineError(Answer):
    """What is wrong with one line of a file, counted from 1."""

    line: int
    message: str


class SuppressionImport(Answer):
    """What became of a file; `errors` holds the first 1,000 of the rejected."""

    created: int
    skipped: int
    rejected: int
    errors: list[LineError]


class EntityImport(SuppressionImport):
    """What became of a file of entities."""

    updated: int


class Results(Answer):
    """A page of a list."""

    results: list[dict[str, Any]]
    next: str | None
    total: int
