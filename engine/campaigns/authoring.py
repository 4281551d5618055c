"""Campaigns as the Campaigns API writes them: one document with audience, messages and plans
(docs/contract/campaigns-api.md).

What may be changed follows what runs:

| part | while a job delivers | while it is held (paused) | completed, cancelled |
|---|---|---|---|
| name, description, goals | yes | yes | yes |
| type, strategy, budget, dates, limits, one per address | yes | yes | no |
| messages, channels | no: pause first | yes; they apply to who is left | no |
| audience | no | no: the run in progress has its own | no |
"""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID, uuid4

from pydantic import AfterValidator, Field
from sqlalchemy import select

from engine.campaigns import schedules
from engine.campaigns.audiences import AudienceInput, segments_of, write_audience
from engine.campaigns.feasible import check_budget, check_hours
from engine.campaigns.messages import MessageInput, write_channels, write_messages
from engine.delivery.campaign_moves import locked
from engine.delivery.limit_changes import limits_changed
from engine.engagement.topics import require_topic
from engine.events.outbox import record
from engine.kernel import listing
from engine.kernel.inputs import Input, Invalid, LongText, Name, above_zero, read
from engine.kernel.instants import is_past, refuse_past
from engine.kernel.rule_violations import RuleCode, RuleViolation
from engine.limits.config import CampaignLimits, stored
from state.change import clock_of
from state.tables import Campaign, Job
from state.transitions import OPEN, CampaignStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.orm import Session

__all__ = ["TYPES", "Goals", "Plan", "PlanChange", "Strategy", "change_campaign", "write_campaign"]

TYPES = ("message", "invitation", "data_collection", "engagement", "custom")
_Amount = Annotated[float, Field(ge=0, le=1e15)]
#: Of a day, where it is an end.
_LAST_SECOND = time(23, 59, 59)
_OVER = (CampaignStatus.COMPLETED, CampaignStatus.CANCELLED)
#: What says something about a campaign and steers nothing.
_ALWAYS = frozenset(("name", "description", "goals"))


class Goals(Input):
    """What is hoped for."""

    target_audience: Annotated[int, Field(ge=0, le=2**53)] | None = None
    """Recipients."""
    conversion_rate: Annotated[float, Field(ge=0, le=100)] | None = None
    """Percent."""
    revenue: _Amount | None = None


class Strategy(Input):
    """How it is to be done: in words, and over which channels."""

    messaging: LongText | None = None
    timing: LongText | None = None
    channels: Annotated[list[Annotated[str, Field(min_length=1, max_length=150)]], Field(max_length=20)] = (
        Field(default_factory=list)
    )
    """By id, kind or name, in order of preference."""


class Plan(Input):
    """A new campaign."""

    name: Name
    description: LongText | None = None
    type: Literal["message", "invitation", "data_collection", "engagement", "custom"] = "message"
    goals: Goals | None = None
    audience: AudienceInput | None = None
    messages: Annotated[list[MessageInput], Field(max_length=50)] | None = None
    strategy: Strategy | None = None
    budget: Annotated[float, AfterValidator(above_zero), Field(le=1e15)] | None = None
    """In the organization's currency; above 0, and enough for one message."""
    starts_at: datetime | None = None
    """Aware; an execution before then waits until then."""
    ends_at: datetime | None = None
    """Aware; it ends then, whatever is left."""
    misfire_hours: Annotated[float, Field(ge=0, le=24 * 366)] = 6.0
    """How late a scheduled start is made up for."""
    limits: CampaignLimits | None = None
    """Rate, frequency cap, send windows, quiet hours; replaced whole."""
    one_per_address: bool = True
    """Of recipients who share an address, the first alone is written to."""
    topic_id: UUID | None = None
    """What it is about: who opted out of that is not written to."""


class PlanChange(Plan):
    """What is to be different. Goals, strategy and audience are merged; messages are replaced, all of them."""

    name: Name = ""


def write_campaign(session: Session, org_id: UUID, given: Plan, *, by: str | None = None) -> Campaign:
    """Keep a campaign, as a draft.

    Raises:
        Invalid: something in it cannot be used; names the field.
    """
    now = clock_of(session).now()
    campaign = Campaign(
        id=uuid4(),
        org_id=org_id,
        name=given.name,
        status=CampaignStatus.DRAFT,
        ends="when_delivered",
        created_by=by,
        created_at=now,
        updated_at=now,
    )
    session.add(campaign)
    session.flush()
    _apply(session, campaign, given, set(Plan.model_fields) - ({"limits"} if given.limits is None else set()))
    session.flush()
    record(session, org_id, "campaign.created", campaign_id=campaign.id, title=campaign.name)
    return campaign


def change_campaign(session: Session, org_id: UUID, campaign_id: UUID, given: PlanChange) -> Campaign:
    """Change what is given of a campaign.

    Raises:
        RuleViolation: it is not there, or what runs or its status forbids the change.
        Invalid: something cannot be used; names the field. Nothing was changed.
    """
    campaign = locked(session, org_id, campaign_id)
    fields = set(given.model_fields_set)
    if fields:
        _may_change(session, campaign, given, fields)
        _apply(session, campaign, given, fields)
        listing.stamp(session, campaign)
        session.flush()
    return campaign


def _may_change(session: Session, campaign: Campaign, given: PlanChange, fields: set[str]) -> None:
    def refused(field: str, why: str) -> RuleViolation:
        return RuleViolation(
            RuleCode.CAMPAIGN_HAS_UNEXPECTED_STATUS,
            f"campaign {campaign.id} is {campaign.status}: {field} {why}",
        )

    if campaign.status in _OVER and (others := fields - _ALWAYS):
        raise refused(min(others), "cannot be changed any more")
    said = fields & {"messages", "audience"}
    if given.strategy is not None and "channels" in given.strategy.model_fields_set:
        said.add("channels")
    if not said:
        return
    jobs = session.execute(
        select(Job.held).where(
            Job.org_id == campaign.org_id, Job.campaign_id == campaign.id, Job.status.in_(OPEN)
        )
    ).scalars()
    held = list(jobs)
    if held and "audience" in said:
        raise refused("audience", "is that of the run in progress; cancel or finish it first")
    if not all(held):
        raise refused(min(said), "cannot be changed while it delivers; pause it first")


def _apply(session: Session, campaign: Campaign, given: Plan, fields: set[str]) -> None:
    require_topic(session, campaign.org_id, given.topic_id)
    plain = {"name", "description", "type", "budget", "misfire_hours", "one_per_address", "topic_id"}
    for name in fields & plain:
        setattr(campaign, name, getattr(given, name))
    if "goals" in fields:
        campaign.goals = _merged(campaign.goals, given.goals)
    if "strategy" in fields:
        campaign.strategy = _merged(campaign.strategy, given.strategy)
    if "limits" in fields:
        campaign.limits = None if given.limits is None else dict(stored(given.limits) or {}) or None
        session.flush()
        limits_changed(session, campaign.org_id)
    _set_dates(session, campaign, given, fields)
    channels: list[str] = (campaign.strategy or {}).get("channels") or []
    if "audience" in fields:
        kept = {} if given.audience is None else _kept_audience(session, campaign)
        wanted = {} if given.audience is None else given.audience.model_dump(exclude_unset=True)
        write_audience(session, campaign, read(AudienceInput, {**kept, **wanted}))
    if "messages" in fields:
        write_messages(session, campaign, given.messages or [], channels)
    if given.strategy is not None and "channels" in given.strategy.model_fields_set:
        write_channels(session, campaign, channels)
    if fields & {"limits", "starts_at", "ends_at"}:
        check_hours(session, campaign)
    if "budget" in fields:
        check_budget(session, campaign)


def _kept_audience(session: Session, campaign: Campaign) -> dict[str, Any]:
    """The audience as it was written; of a campaign that another dialect made: its targets as segments."""
    if campaign.audience is not None:
        return dict(campaign.audience)
    return {"segments": segments_of(session, [campaign])[campaign.id]}


def _merged(kept: Mapping[str, Any] | None, given: Input | None) -> dict[str, Any] | None:
    """What is kept with what is given put in; null empties a part, or the whole."""
    if given is None:
        return None
    merged = {**(kept or {}), **given.model_dump(exclude_unset=True)}
    return {name: value for name, value in merged.items() if value is not None}


def _set_dates(session: Session, campaign: Campaign, given: Plan, fields: set[str]) -> None:
    """Set start and end. A start that waits follows them.

    A new document that lies in the past altogether is an older one, and kept as it is; a document that changes a date,
    or gives an end alone, does not mean the past.
    """
    moved = {}
    for name, day, at in (("starts_at", "start_date", time()), ("ends_at", "end_date", _LAST_SECOND)):
        instant: datetime | None = getattr(given, name)
        kept_day = getattr(campaign, day)
        kept = None if kept_day is None else datetime.combine(kept_day, at, UTC)
        if name in fields and instant != (getattr(campaign, name) or kept):
            moved[name] = instant
            setattr(campaign, name, instant)
            setattr(campaign, day, None if instant is None else instant.date())
    if (
        campaign.starts_at is not None
        and campaign.ends_at is not None
        and campaign.ends_at <= campaign.starts_at
    ):
        raise Invalid("ends_at", "is not behind the start")
    now = clock_of(session).now()
    begun = campaign.starts_at is not None and is_past(campaign.starts_at, now)
    if isinstance(given, PlanChange) or not begun:
        for name, instant in moved.items():
            refuse_past(name, instant, now)
    if moved:
        schedules.follow_start(session, campaign)
