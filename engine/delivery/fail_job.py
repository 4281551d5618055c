"""A run that cannot go on by itself, whatever the time: its job fails, its campaign is paused, and the event says why.

The job's pending recipients are wound up as those of a cancelled one; resuming the campaign, once the cause is mended,
makes a new job for them (docs/contract/campaigns-api.md: `campaign.failed` exists, a status `failed` does not).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from sqlalchemy import select, update

from engine.events.outbox import record
from engine.kernel import listing
from engine.kernel.commands import Cancel
from engine.kernel.runtime import wake
from state.change import clock_of, sources_of
from state.tables import Campaign, Job
from state.transitions import CAMPAIGN, JOB, CampaignStatus, JobStatus

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session

__all__ = ["fail"]

log = structlog.get_logger(__name__)


def fail(session: Session, org_id: UUID, job_id: UUID, *, code: str, reason: str) -> bool:
    """Fail a job that is not over, and pause its campaign. False: it is over already."""
    campaign_id = session.execute(
        select(Job.campaign_id).where(Job.id == job_id, Job.org_id == org_id)
    ).scalar_one_or_none()
    if campaign_id is None:
        return False
    # The campaign first, as everywhere.
    listing.held(session, Campaign, org_id, campaign_id)
    now = clock_of(session).now()
    failed = session.execute(
        update(Job)
        .where(Job.id == job_id, Job.org_id == org_id, sources_of(JOB, JobStatus.FAILED))
        .values(
            status=JobStatus.FAILED,
            error=f"{code}: {reason}"[:2000],
            finished_at=now,
            touched_at=now,
            updated_at=now,
        )
        .returning(Job.id)
        .execution_options(synchronize_session=False)
    ).first()
    if failed is None:
        return False
    session.execute(
        update(Campaign)
        .where(
            Campaign.id == campaign_id,
            Campaign.org_id == org_id,
            sources_of(CAMPAIGN, CampaignStatus.PAUSED),
        )
        .values(
            status=CampaignStatus.PAUSED, paused_at=now, paused_by=f"failure: {code}"[:150], updated_at=now
        )
        .execution_options(synchronize_session=False)
    )
    record(
        session, org_id, "campaign.failed", campaign_id=campaign_id, job_id=job_id, code=code, reason=reason
    )
    wake(session, Cancel(org_id=org_id, job_id=job_id))
    log.error("job.failed", job_id=str(job_id), code=code, reason=reason)
    return True
