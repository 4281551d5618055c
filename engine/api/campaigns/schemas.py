"""What the Campaigns dialect takes: closed models in its own words (docs/contract/campaigns-api.md).

What an answer holds and nobody writes (`id`, `statistics`, `createdAt` …) may be sent back and is passed over; anything
else that is unknown is refused by name.
"""

# The names are the dialect's.
# ruff: noqa: N815

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    model_validator,
)

from engine.campaigns.authoring import Plan, PlanChange
from engine.kernel.inputs import Input, above_zero, read
from engine.kernel.instants import read_instant

__all__ = ["CampaignBody", "CampaignChangeBody", "CloneBody", "ExecuteBody"]


def _instant(value: Any, *, last: bool = False) -> Any:
    """ISO 8601 as an aware instant: UTC where it names no zone; a day alone is its beginning, or its end."""
    if not isinstance(value, str):
        if value is None:
            return None
        raise ValueError("must be a date and time like 2026-11-24T10:00:00Z")
    return read_instant(value, last=last)


Instant = Annotated[datetime, BeforeValidator(_instant)]
Last = Annotated[datetime, BeforeValidator(lambda value: _instant(value, last=True))]


class _Read(Input):
    """Passes over what only answers hold."""

    answered: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _without_answered(cls, given: Any) -> Any:
        if isinstance(given, dict) and cls.answered & given.keys():
            return {name: value for name, value in given.items() if name not in cls.answered}
        return given


class GoalsBody(Input):
    """What is hoped for."""

    targetAudience: Annotated[StrictInt, Field(ge=0, le=2**53)] | None = None
    conversionRate: Annotated[StrictFloat, Field(ge=0, le=100)] | None = None
    revenue: Annotated[StrictFloat, Field(ge=0, le=1e15)] | None = None


class AudienceBody(_Read):
    """Whom it is for: segments, narrowed by filters."""

    answered = frozenset(("totalCount",))

    segments: list[str] | None = None
    filters: dict[str, Any] | None = None
    schema_: Annotated[str | None, Field(alias="schema")] = None


class StrategyBody(Input):
    """How it is to be done."""

    messaging: str | None = None
    timing: str | None = None
    channels: list[str] | None = None


class PersonalizationBody(Input):
    """Which attributes a message is filled with."""

    enabled: StrictBool = True
    fields: list[str] = Field(default_factory=list)


class VariationBody(Input):
    """Another wording of a message."""

    id: str | None = None
    content: str
    subject: str | None = None
    weight: Annotated[StrictFloat, Field(ge=0, le=1_000_000)] = 50


class MessageBody(_Read):
    """One message."""

    answered = frozenset(("status",))

    id: str | None = None
    name: str | None = None
    templateId: str | None = None
    content: str | None = None
    subject: str | None = None
    variations: list[VariationBody] = Field(default_factory=list)
    personalization: PersonalizationBody | None = None


class CampaignBody(_Read):
    """A new campaign."""

    answered = frozenset(
        ("id", "statistics", "workflow", "abTests", "createdBy", "createdAt", "updatedAt", "schedule")
    )

    name: str
    description: str | None = None
    type: Literal["message", "invitation", "data_collection", "engagement", "custom"] = "message"
    goals: GoalsBody | None = None
    targetAudience: AudienceBody | None = None
    messages: list[MessageBody] | None = None
    strategy: StrategyBody | None = None
    budget: Annotated[StrictFloat, AfterValidator(above_zero), Field(le=1e15)] | None = None
    startDate: Instant | None = None
    endDate: Last | None = None
    misfireHours: Annotated[StrictFloat, Field(ge=0, le=8784)] = 6
    limits: dict[str, Any] | None = None
    onePerAddress: StrictBool = True
    status: Literal["draft"] = "draft"

    def plan(self) -> Plan:
        """As the service takes it.

        Raises:
            Invalid: something in it cannot be used; names the field, in our words.
        """
        return read(Plan, _values(self.model_dump(exclude_unset=True, by_alias=True)))


class CampaignChangeBody(CampaignBody):
    """What is to be different."""

    name: str = ""
    status: Literal["draft", "active", "paused", "completed", "cancelled"] = "draft"  # type: ignore[assignment]

    def change(self, values: dict[str, Any]) -> PlanChange:
        """Of what was given the `values` that are to be different, as the service takes them, without the status.

        Raises:
            Invalid: see `CampaignBody.plan`.
        """
        return read(PlanChange, _values(values))


class ExecuteBody(Input):
    """How to execute a campaign. Every part may be left out."""

    testMode: StrictBool = False
    targetPercentage: Annotated[StrictFloat, Field(ge=1, le=100)] = 100
    priority: Literal["low", "normal", "high"] = "normal"
    scheduledAt: Instant | None = None


class CloneBody(Input):
    """How to copy a campaign."""

    name: Annotated[str, Field(min_length=1, max_length=150)] | None = None
    resetStatistics: StrictBool = True


_TOP = {
    "targetAudience": "audience",
    "startDate": "starts_at",
    "endDate": "ends_at",
    "misfireHours": "misfire_hours",
    "onePerAddress": "one_per_address",
}
_GOALS = {"targetAudience": "target_audience", "conversionRate": "conversion_rate"}


def _values(given: dict[str, Any]) -> dict[str, Any]:
    """What was given, in our words."""
    values = {_TOP.get(name, name): value for name, value in given.items() if name != "status"}
    if values.get("goals"):
        values["goals"] = {_GOALS.get(name, name): value for name, value in values["goals"].items()}
    audience = values.get("audience")
    if audience is not None:
        if "schema" in audience:
            audience["entity_schema"] = audience.pop("schema")
        values["audience"] = {name: value for name, value in audience.items() if value is not None}
        for name in ("segments", "filters"):
            if name in audience and audience[name] is None:
                values["audience"][name] = [] if name == "segments" else {}
    if values.get("strategy") and values["strategy"].get("channels", ...) is None:
        values["strategy"]["channels"] = []
    if "messages" in values:
        values["messages"] = [
            {("template" if name == "templateId" else name): value for name, value in message.items()}
            for message in values["messages"] or ()
        ]
    return values
