"""The end of a job: its report is built and handed out, and a campaign that ends when delivered is complete.

The report is counted from the rows, once, by the index of the job's slices; it stays what it was when later runs move
recipients elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import exists, func, select, update

from engine.events.outbox import record
from engine.kernel.triggers import reach
from state.change import change_status, clock_of, sources_of
from state.tables import Campaign, Job, Recipient, ScheduledRun
from state.transitions import CAMPAIGN, JOB, OPEN, AutomationStatus, CampaignStatus, JobStatus

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.kernel.runtime import Runtime

__all__ = ["finish"]

log = structlog.get_logger(__name__)


def finish(runtime: Runtime, org_id: UUID, job_id: UUID) -> bool:
    """Report on a job and finish it; False when it does not wait for its report (a repeated wake-up)."""
    with runtime.transaction() as session:
        job = session.execute(
            select(Job).where(Job.id == job_id, Job.org_id == org_id).with_for_update(key_share=True)
        ).scalar_one_or_none()
        if job is None or job.status != JobStatus.SEND_REPORT:
            return False
        now = clock_of(session).now()
        report = _report(session, job)
        change_status(
            session,
            JOB,
            JobStatus.FINISHED,
            Job.id == job_id,
            Job.org_id == org_id,
            key=job_id,
            finished_at=now,
            updated_at=now,
            report=report,
        )
        record(session, org_id, "job.finished", campaign_id=job.campaign_id, job_id=job_id, **report)
        _complete(session, job)
        reach("report.before_commit")
    reach("report.committed")
    log.info("job.finished", job_id=str(job_id), **report["counts"])
    return True


def _report(session: Session, job: Job) -> dict[str, Any]:
    """`{counts: {status: n}, errors: [{code, count, status}], total}` of the job's recipients."""
    found = session.execute(
        select(Recipient.automation_status, Recipient.error_code, func.count())
        .where(Recipient.job_id == job.id)
        .group_by(Recipient.automation_status, Recipient.error_code)
    ).all()
    counts = {status.value: 0 for status in AutomationStatus}
    errors: list[dict[str, Any]] = []
    for status, code, count in found:
        counts[status or ""] += count
        if code is not None and status in (AutomationStatus.FAILED, AutomationStatus.CANCELLED):
            errors.append({"code": code, "status": status, "count": count})
    errors.sort(key=lambda error: (-error["count"], error["code"]))
    return {"kind": job.kind, "total": sum(counts.values()), "counts": counts, "errors": errors}


def _complete(session: Session, job: Job) -> None:
    """Complete the campaign when this was the last it had to deliver, and it ends then (docs/contract/states.md
    `ends`).
    """
    others = exists().where(
        Job.campaign_id == job.campaign_id,
        Job.id != job.id,
        Job.status.in_(OPEN),
    )
    starts_again = exists().where(
        ScheduledRun.campaign_id == job.campaign_id, ScheduledRun.status == "waiting"
    )
    completed = session.execute(
        update(Campaign)
        .where(
            Campaign.id == job.campaign_id,
            Campaign.org_id == job.org_id,
            Campaign.ends == "when_delivered",
            sources_of(CAMPAIGN, CampaignStatus.COMPLETED),
            Campaign.reach >= 100,  # noqa: PLR2004 - percent; else somebody is left to be reached by another run
            ~others,
            ~starts_again,
        )
        .values(status=CampaignStatus.COMPLETED, updated_at=clock_of(session).now())
        .returning(Campaign.id)
        .execution_options(synchronize_session=False)
    ).first()
    if completed is not None:
        record(session, job.org_id, "campaign.completed", campaign_id=job.campaign_id, job_id=job.id)
