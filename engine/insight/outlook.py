"""How a campaign stands and goes on: its progress, its pace, when it will be done, and what it waits for.

The one answer behind the Campaigns API's progress, the job of the Targeting API, `muster watch`, `campaign show` and
`why`. Counters and indexes only: its cost does not depend on the campaign's size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from engine.delivery.by_status import find_by_status
from engine.insight.estimate import SAMPLE, Crowd, expected_end
from engine.insight.pace import per_minute
from engine.insight.progress import Progress, campaign_progress
from engine.insight.waiting import situation_of, waiting_of
from state.sets import among
from state.tables import Entity, Recipient, Slice
from state.transitions import AutomationStatus, SliceState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from typing import Any

    from sqlalchemy.orm import Session

    from engine.insight.waiting import Situation, Waiting
    from state.tables import Campaign, Job

__all__ = ["Outlook", "outlook"]


@dataclass(frozen=True, slots=True)
class Outlook:
    """One look."""

    at: datetime
    progress: Progress
    job: Job | None
    """The newest one that is not over, else the newest."""
    per_minute: float
    """Outcomes a minute, over the last one."""
    completion: datetime | None
    """When the rest will be done; None when nobody can say, or it is over."""
    waiting: Sequence[Waiting]
    """What holds it back, what stops it first; empty when nothing does."""

    @property
    def stopped(self) -> Waiting | None:
        """What keeps all of it from being sent now."""
        return next((one for one in self.waiting if one.stops_all), None)

    @property
    def seconds_left(self) -> float | None:
        """Until `completion`."""
        if self.completion is None:
            return None
        return max(0.0, (self.completion - self.at).total_seconds())


def outlook(session: Session, campaign: Campaign, progress: Progress | None = None) -> Outlook:
    """A campaign's. Some fifteen small statements, whatever its size.

    Args:
        session: Where to read.
        campaign: Which.
        progress: How far it is, where that was read in this transaction.
    """
    # The progress first: a reader of its end then reads the status that came with it, or a later one.
    progress = progress or campaign_progress(session, campaign.org_id, campaign.id)
    situation = situation_of(session, campaign)
    waiting = waiting_of(session, situation)
    rate = per_minute(session, campaign.org_id, campaign.id, progress)
    completion = None
    if not progress.over and not progress.held and progress.planned:
        completion = _completion(session, situation, progress, rate, waiting)
    return Outlook(situation.now, progress, situation.last_job, rate, completion, waiting)


def _completion(
    session: Session,
    situation: Situation,
    progress: Progress,
    rate: float,
    waiting: Sequence[Waiting],
) -> datetime | None:
    campaign = situation.campaign
    pending = max(0, progress.counts[AutomationStatus.PENDING])
    begun = max(0, progress.counts[AutomationStatus.IN_PROGRESS])
    end = expected_end(
        session,
        campaign,
        Crowd(pending, lambda: _sample(session, campaign), begun=begun),
        begin=situation.now,
        pace=rate / 60,
        waiting=waiting,
        limits=situation.limits,
    )
    # Index ix_slice_ready: recipients that are tried again later are waited for.
    last_due = session.execute(
        select(func.max(Slice.due_at)).where(
            Slice.job_id.in_([job.id for job in situation.sending]), Slice.state == SliceState.READY
        )
    ).scalar_one_or_none()
    return end if end is None or last_due is None else max(end, last_due)


def _sample(session: Session, campaign: Campaign) -> list[Mapping[str, Any]]:
    """The attributes of some who are pending."""
    mine = Recipient.org_id == campaign.org_id
    people = find_by_status(session, campaign.id, [AutomationStatus.PENDING], mine, most=SAMPLE)
    return list(
        session.scalars(
            select(Entity.attributes).where(
                Entity.org_id == campaign.org_id,
                among(session, Entity.id, [row.entity_id for row in people]),
            )
        )
    )
