"""Campaigns whose end date has passed are complete, whether or not somebody told them (docs/contract/states.md
`ends`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, or_, select, update

from engine.campaigns import schedules
from engine.events.outbox import record
from engine.kernel.commands import Cancel
from engine.kernel.runtime import wake
from state.change import clock_of, sources_of
from state.sets import among
from state.tables import Campaign, Job
from state.transitions import CAMPAIGN, JOB, CampaignStatus, JobStatus

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = ["end_due_campaigns"]

_BATCH = 100


def end_due_campaigns(session: Session) -> int:
    """Complete campaigns past their end (an instant, or a day in UTC, inclusive) and cancel what they still had to do.

    Runs for all organizations at once: it is the sweeper's. Index (status, end_date).

    Returns:
        How many campaigns ended; at most a batch of 100 a call.
    """
    now = clock_of(session).now()
    # A campaign that is activated after the instant it was to end at is meant to run.
    at_its_instant = (Campaign.ends_at <= now) & (
        Campaign.activated_at.is_(None) | (Campaign.activated_at <= Campaign.ends_at)
    )
    due = (
        sources_of(CAMPAIGN, CampaignStatus.COMPLETED),
        Campaign.end_date <= now.date(),
        or_(
            and_(Campaign.ends_at.is_(None), Campaign.end_date < now.date()),
            and_(Campaign.ends_at.is_not(None), at_its_instant),
        ),
    )
    found = session.scalars(select(Campaign.id).where(*due).limit(_BATCH)).all()
    if not found:
        return 0
    ended = session.execute(
        update(Campaign)
        .where(among(session, Campaign.id, found), *due)  # once more: somebody may have moved the end
        .values(status=CampaignStatus.COMPLETED, updated_at=now)
        .returning(Campaign.org_id, Campaign.id)
        .execution_options(synchronize_session=False)
    ).all()
    for org_id, campaign_id in ended:
        stopped = session.execute(
            update(Job)
            .where(Job.org_id == org_id, Job.campaign_id == campaign_id, sources_of(JOB, JobStatus.CANCELLED))
            .values(status=JobStatus.CANCELLED, finished_at=now, touched_at=now, updated_at=now)
            .returning(Job.id)
            .execution_options(synchronize_session=False)
        ).scalars()
        wake(session, *(Cancel(org_id=org_id, job_id=job_id) for job_id in stopped))
        schedules.call_off(session, org_id, campaign_id, "the campaign's end date has passed")
        record(session, org_id, "campaign.completed", campaign_id=campaign_id, reason="end date passed")
    return len(ended)
