"""Execute a campaign (docs/contract/campaigns-api.md): at once, at a time, to a part of its audience, or in test mode.

| asked | done |
|---|---|
| nothing more | everybody who is in the audience and has had nothing yet is delivered to |
| `reach` | the first so many percent of the audience; executing again with more sends to those who are left |
| `due_at` in the future, or a campaign that has not begun | a start is kept for then, instead of one that waits |
| `due_at` in the past, beyond a minute | refused |
| `test` | a dry run: nothing is sent and no status changes |

What the draft left open, names of segments, templates and channels, must exist by now.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from engine.campaigns import dry_runs, lifecycle, readiness, schedules
from engine.campaigns.audiences import audience_sample, audience_size, resolve_audience
from engine.campaigns.messages import resolve_messages
from engine.delivery.campaign_moves import locked
from engine.delivery.enrol import guard
from engine.filters.filters import FilterError
from engine.insight.estimate import Crowd, expected_end
from engine.kernel.inputs import Invalid
from engine.kernel.instants import SLACK
from engine.kernel.rule_violations import RuleCode, RuleViolation
from state.change import clock_of
from state.transitions import CampaignStatus

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

    from state.tables import Campaign

__all__ = ["Executed", "execute"]

_EXECUTABLE = (CampaignStatus.DRAFT, CampaignStatus.ACTIVATING, CampaignStatus.ACTIVE)


@dataclass(frozen=True, slots=True)
class Executed:
    """What was begun."""

    execution_id: UUID
    """The job's, now or when it will be made; of a dry run: its own."""
    status: Literal["started", "scheduled"]
    starts_at: datetime
    estimated_completion: datetime | None
    """None beyond ten years."""
    past_end: bool
    """Its end had passed already, and ends it no more."""


def execute(
    session: Session,
    org_id: UUID,
    campaign_id: UUID,
    *,
    window: int,
    priority: str = "normal",
    reach: float = lifecycle.EVERYBODY,
    due_at: datetime | None = None,
    test: bool = False,
) -> Executed:
    """Execute a campaign, see above.

    Args:
        window: Slices of a job of normal priority in flight at once at most.
        priority: One of `jobs.PRIORITIES`.
        reach: Percent, above 0 and up to 100, counted from the beginning of the audience (state.sampling).
        due_at: Aware; not before then.

    Raises:
        RuleViolation: its status, or what runs, forbids it; or it lacks an audience or a message.
        Invalid: what it refers to does not exist, or a value cannot be used.
    """
    if not 0 < reach <= lifecycle.EVERYBODY:
        raise Invalid("reach", "must be above 0 and at most 100")
    guard(session, org_id, activates=True)
    campaign = locked(session, org_id, campaign_id)
    now = clock_of(session).now()
    starts_at = _start(campaign, due_at, now, test=test)
    if not test and campaign.status not in _EXECUTABLE:
        raise RuleViolation(
            RuleCode.CAMPAIGN_HAS_UNEXPECTED_STATUS,
            f"campaign {campaign_id} is {campaign.status} and cannot be executed",
        )
    resolve_audience(session, campaign)
    resolve_messages(session, campaign)
    past_end = campaign.ends_at is not None and campaign.ends_at <= now
    if test:
        execution_id = dry_runs.begin(session, campaign, reach=reach).id
    elif starts_at > now:
        readiness.check(session, campaign)
        execution_id = schedules.schedule(
            session, campaign, due_at=starts_at, asked_at=due_at, reach=reach, priority=priority
        ).id
    else:
        execution_id = lifecycle.run(
            session, org_id, campaign_id, window=window, priority=priority, reach=reach
        ).id
    return Executed(
        execution_id,
        "scheduled" if starts_at > now else "started",
        starts_at,
        _end(session, campaign, reach=reach, begin=starts_at),
        past_end,
    )


def _start(campaign: Campaign, due_at: datetime | None, now: datetime, *, test: bool) -> datetime:
    """When it starts.

    Raises:
        Invalid: that would be in the past, before the campaign begins, or after it ends.
    """
    if due_at is not None and due_at < now - SLACK:
        raise Invalid("due_at", f"{due_at.isoformat()} is in the past; leave it out to start at once")
    if test:
        if due_at is not None and due_at > now:
            raise Invalid("due_at", "a dry run is made at once; leave it out")
        return now
    begins = campaign.starts_at
    if due_at is None or due_at <= now:
        return begins if begins is not None and begins > now else now
    if begins is not None and due_at < begins:
        raise Invalid("due_at", f"is before the campaign starts, at {begins.isoformat()}")
    if campaign.ends_at is not None and due_at >= campaign.ends_at:
        raise Invalid("due_at", f"is not before the campaign ends, at {campaign.ends_at.isoformat()}")
    return due_at


def _end(session: Session, campaign: Campaign, *, reach: float, begin: datetime) -> datetime | None:
    """When a run that begins then will be done."""
    crowd = Crowd(round(_size(session, campaign) * reach / 100), lambda: audience_sample(session, campaign))
    return expected_end(session, campaign, crowd, begin=begin)


def _size(session: Session, campaign: Campaign) -> int:
    try:
        return audience_size(session, campaign)
    except FilterError as error:
        raise Invalid("audience", str(error)) from None
