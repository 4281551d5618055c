"""Campaigns as rows: made, changed, listed, deleted. What a campaign does is `lifecycle`'s; `status` is never
written here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID, uuid4

from pydantic import Field, model_validator
from sqlalchemy import delete, select, update

from engine.campaigns import schedules
from engine.campaigns.copying import copy_flow
from engine.campaigns.feasible import check_hours
from engine.campaigns.next_best_actions import NextBestAction  # noqa: TC001 - pydantic reads it
from engine.delivery.limit_changes import limits_changed
from engine.engagement.topics import require_topic
from engine.events.outbox import record
from engine.kernel import listing
from engine.kernel.inputs import Input, Invalid, LongText, Name, Rewritable
from engine.kernel.instants import WrittenDay, refuse_past
from engine.kernel.rule_violations import RuleCode, RuleViolation
from engine.limits.config import CampaignLimits, stored
from engine.tracking.config import LONGEST_WINDOW, Tracking, kept
from state.change import clock_of
from state.sets import among
from state.tables import (
    Attempt,
    Campaign,
    Execution,
    Experiment,
    Flow,
    Job,
    Recipient,
    RecipientAddress,
    Slice,
    Target,
    TargetKey,
    Touchpoint,
    Widget,
)
from state.transitions import OPEN, CampaignStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.orm import Session

__all__ = [
    "CampaignChange",
    "CampaignInput",
    "create_campaign",
    "delete_campaign",
    "get_campaign",
    "update_campaign",
]


class CampaignInput(Input):
    """A new campaign; it begins as a draft."""

    name: Name
    description: LongText | None = None
    goal: LongText | None = None
    target_ids: Annotated[list[UUID], Field(max_length=100)] = Field(default_factory=list)
    """The audience: every entity that one of these targets lets through, once."""
    flow_id: UUID | None = None
    start_date: WrittenDay | None = None
    end_date: WrittenDay | None = None
    """Inclusive, a day in UTC."""
    ends: Literal["when_delivered", "when_told"] = "when_delivered"
    limits: CampaignLimits | None = None
    """A rate, a frequency cap, send windows and quiet hours; replaced whole."""
    next_best_action: NextBestAction | None = None
    """What agents are shown beside the audience."""
    tracking: Tracking | None = None
    """Of opens and clicks; takes the place of the channel's, name by name."""
    attribution_days: Annotated[int, Field(ge=1, le=LONGEST_WINDOW)] = 7
    """How long after its latest message a recipient's conversion is put down to it."""

    one_per_address: bool = True
    """Of recipients who share an address, the first alone is written to."""
    topic_id: UUID | None = None
    """What it is about: who opted out of that is not written to."""

    @model_validator(mode="before")
    @classmethod
    def _no_status(cls, given: Any) -> Any:
        if isinstance(given, dict) and "status" in given:
            raise ValueError("status is changed by activating, pausing or ending the campaign, not written")
        return given


class CampaignChange(Rewritable, CampaignInput):
    """What is to be different; what is not given stays, null empties."""

    answered = frozenset(("status", "state", "job_id", "target"))

    name: Name = ""


def create_campaign(session: Session, org_id: UUID, given: CampaignInput) -> Campaign:
    """Keep a campaign, as a draft.

    Raises:
        Invalid: a target, the flow or the topic does not exist, or it would end before it starts.
    """
    now = clock_of(session).now()
    campaign = Campaign(
        id=uuid4(), org_id=org_id, status=CampaignStatus.DRAFT, created_at=now, updated_at=now
    )
    _apply(session, campaign, given, set(CampaignInput.model_fields))
    session.add(campaign)
    session.flush()
    record(session, org_id, "campaign.created", campaign_id=campaign.id, title=campaign.name)
    return campaign


def get_campaign(session: Session, org_id: UUID, campaign_id: UUID) -> Campaign:
    """Raises NotFound."""
    return listing.find(session, Campaign, org_id, campaign_id)


def update_campaign(session: Session, org_id: UUID, campaign_id: UUID, given: CampaignChange) -> Campaign:
    """Change a campaign. A running job keeps the audience and the flow it was made with.

    Raises:
        NotFound: there is none.
        Invalid: as `create_campaign`. Nothing was changed.
    """
    campaign = listing.find(session, Campaign, org_id, campaign_id, lock=True)
    if given.model_fields_set:
        limits = campaign.limits
        with session.no_autoflush:
            _apply(session, campaign, given, given.model_fields_set)
        listing.stamp(session, campaign)
        session.flush()
        if campaign.limits != limits:
            limits_changed(session, org_id)
    return campaign


def delete_campaign(session: Session, org_id: UUID, campaign_id: UUID) -> None:
    """Remove a campaign with its recipients, executions, jobs and own flow. Its events stay, as history.

    Raises:
        NotFound: there is none.
        RuleViolation: CAMPAIGN_HAS_JOB_IN_PROGRESS; deactivate or cancel it first.
    """
    listing.find(session, Campaign, org_id, campaign_id, lock=True)
    running = session.execute(
        select(Job.id)
        .where(Job.org_id == org_id, Job.campaign_id == campaign_id, Job.status.in_(OPEN))
        .limit(1)
    ).scalar_one_or_none()
    if running is not None:
        raise RuleViolation(
            RuleCode.CAMPAIGN_HAS_JOB_IN_PROGRESS, f"campaign {campaign_id} has job {running} in progress"
        )
    jobs = select(Job.id).where(Job.org_id == org_id, Job.campaign_id == campaign_id)
    used = select(Campaign.flow_id).where(Campaign.org_id == org_id, Campaign.flow_id.is_not(None))
    # Slices first, as everywhere: a worker that still holds one of a cancelled job finds its lease lost.
    for statement in (
        delete(Slice).where(Slice.job_id.in_(jobs)),
        # These have no foreign keys (state/tables/delivery.py).
        delete(Recipient).where(Recipient.campaign_id == campaign_id, Recipient.org_id == org_id),
        delete(RecipientAddress).where(RecipientAddress.campaign_id == campaign_id),
        delete(Execution).where(Execution.campaign_id == campaign_id, Execution.org_id == org_id),
        delete(Attempt).where(Attempt.campaign_id == campaign_id, Attempt.org_id == org_id),
        delete(TargetKey).where(TargetKey.campaign_id == campaign_id, TargetKey.org_id == org_id),
        delete(Job).where(Job.campaign_id == campaign_id, Job.org_id == org_id),
        delete(Target).where(Target.campaign_id == campaign_id, Target.org_id == org_id),
        delete(Widget).where(Widget.campaign_id == campaign_id, Widget.org_id == org_id),
        delete(Campaign).where(Campaign.id == campaign_id, Campaign.org_id == org_id),
        # Its own flow goes with it; one that another campaign has taken up stands by itself from now on.
        delete(Flow).where(Flow.org_id == org_id, Flow.campaign_id == campaign_id, Flow.id.not_in(used)),
        update(Flow).where(Flow.org_id == org_id, Flow.campaign_id == campaign_id).values(campaign_id=None),
    ):
        session.execute(statement.execution_options(synchronize_session=False))
    record(session, org_id, "campaign.deleted", campaign_id=campaign_id)


def _apply(session: Session, campaign: Campaign, given: CampaignInput, fields: set[str]) -> None:
    values = given.model_dump(include=fields)
    _check_dates(session, campaign, given, values)
    if "target_ids" in values:
        _check_targets(session, campaign.org_id, values["target_ids"])
        values["target_ids"] = [str(target_id) for target_id in dict.fromkeys(values["target_ids"])]
    require_topic(session, campaign.org_id, values.get("topic_id"))
    if values.get("flow_id") is not None:
        values["flow_id"] = _flow_id(session, campaign, values["flow_id"])
    if values.get("next_best_action") is not None and given.next_best_action is not None:
        values["next_best_action"] = given.next_best_action.model_dump(mode="json", exclude_none=True)
    stored_as = {"limits": stored(given.limits), "tracking": kept(given.tracking)}
    values |= {name: value for name, value in stored_as.items() if name in values}
    changed = {name for name, value in values.items() if value != getattr(campaign, name)}
    _forget(campaign, changed)
    for name, value in values.items():
        setattr(campaign, name, value)
    if changed & {"start_date", "end_date"}:
        schedules.follow_start(session, campaign)
    if changed & {"start_date", "end_date", "limits"}:
        check_hours(session, campaign)


def _check_dates(
    session: Session, campaign: Campaign, given: CampaignInput, values: Mapping[str, Any]
) -> None:
    start = values.get("start_date", campaign.start_date)
    end = values.get("end_date", campaign.end_date)
    if start is not None and end is not None and end < start:
        raise Invalid("end_date", f"{end} is before the start date {start}")
    now = clock_of(session).now()
    # A new campaign may say on which day it began.
    for name in ("start_date", "end_date") if isinstance(given, CampaignChange) else ("end_date",):
        if name in values and values[name] != getattr(campaign, name):
            refuse_past(name, values[name], now)


def _flow_id(session: Session, campaign: Campaign, flow_id: UUID) -> UUID:
    """The flow that is named; a copy of it where another campaign's A/B test is about to change it."""
    if not listing.kept(session, Flow, campaign.org_id, flow_id):
        raise Invalid("flow_id", f"flow {flow_id} does not exist")
    if flow_id == campaign.flow_id or not _is_tested(session, campaign, flow_id):
        return flow_id
    flow = listing.find(session, Flow, campaign.org_id, flow_id)
    return copy_flow(session, flow, campaign_id=campaign.id)[0].id


def _is_tested(session: Session, campaign: Campaign, flow_id: UUID) -> bool:
    """Whether another campaign's A/B test is about to decide what this flow gives."""
    tested = (
        select(Experiment.id)
        .join(Touchpoint, Touchpoint.id == Experiment.touchpoint_id)
        .where(
            Experiment.org_id == campaign.org_id,
            Experiment.campaign_id != campaign.id,
            Experiment.status.in_(("draft", "running")),
            Touchpoint.flow_id == flow_id,
        )
    )
    return session.execute(tested.limit(1)).first() is not None


def _forget(campaign: Campaign, changed: set[str]) -> None:
    """Drop what was said more exactly of what is about to change."""
    for name, exact in (("start_date", "starts_at"), ("end_date", "ends_at"), ("target_ids", "audience")):
        if name in changed:
            setattr(campaign, exact, None)


def _check_targets(session: Session, org_id: UUID, target_ids: Sequence[UUID]) -> None:
    known = set(
        session.execute(
            select(Target.id).where(Target.org_id == org_id, among(session, Target.id, target_ids))
        ).scalars()
    )
    for index, target_id in enumerate(target_ids):
        if target_id not in known:
            raise Invalid(f"target_ids[{index}]", f"target {target_id} does not exist")
