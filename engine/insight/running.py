"""How a campaign's execution goes: how far, how fast, until when, what goes wrong, and why it waits (contract.md §3).

Everything rests on recorded outcomes. `processed` is successful and failed; `total` is whoever is to be written to,
without those who are excluded (suppressed, no address …), who are told apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from engine import listing
from engine.campaigns.executions import JOB_WORDS
from engine.campaigns.schedules import next_due
from engine.insight.estimate import usual_pace
from engine.insight.pace import per_minute
from engine.insight.progress import Progress, campaign_progress
from engine.limits.reasons import why_it_waits
from state.change import clock_of
from state.tables import Campaign, Job, Recipient
from state.transitions import OPEN, AutomationStatus, CampaignStatus, JobStatus

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session

__all__ = ["Reason", "Running", "Trouble", "running"]

#: Error codes that are told apart; the rest of a campaign's failures is one sum.
_CODES = 50


@dataclass(frozen=True, slots=True)
class Trouble:
    """Failures with one error code."""

    code: str
    count: int
    """Recipients."""
    message: str
    """Of one of them."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why it does not move, or moves slowly."""

    code: str
    """paused, scheduled, planning, failed; or what limits say: breaker, throttled, limit, quiet_hours, unavailable
    (engine.limits.reasons)."""
    message: str
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Running:
    """One look."""

    status: str
    """idle, scheduled, started, running, paused, completed, cancelled or failed."""
    job_id: UUID | None
    progress: Progress
    per_minute: float
    """Outcomes a minute, over the last one."""
    estimated_completion: datetime | None
    """None when nobody can say, or it is over."""
    errors: list[Trouble]
    reasons: list[Reason]

    @property
    def successful(self) -> int:
        """Recipients."""
        return max(0, self.progress.counts[AutomationStatus.SUCCESS])

    @property
    def failed(self) -> int:
        """Recipients."""
        return max(0, self.progress.counts[AutomationStatus.FAILED])

    @property
    def processed(self) -> int:
        """Recipients with an outcome."""
        return self.successful + self.failed

    @property
    def percentage(self) -> int:
        """Of the total, rounded down: 100 means all."""
        return self.processed * 100 // self.progress.wanted if self.progress.wanted else 0


def running(session: Session, org_id: UUID, campaign_id: UUID) -> Running:
    """How a campaign stands. Some ten statements, whatever its size.

    Raises:
        NotFound: there is no such campaign.
    """
    campaign = listing.find(session, Campaign, org_id, campaign_id)
    # The progress first: whoever reads that it is over then reads the status that came with it, or a later one.
    progress = campaign_progress(session, org_id, campaign_id)
    job = session.execute(
        select(Job)
        .where(Job.org_id == org_id, Job.campaign_id == campaign_id)
        .order_by(Job.status.in_(OPEN).desc(), Job.created_at.desc(), Job.id)
        .limit(1)
    ).scalar_one_or_none()
    scheduled = next_due(session, org_id, [campaign_id]).get(campaign_id)
    rate = per_minute(session, org_id, campaign_id, progress)
    status = "idle" if job is None else JOB_WORDS[JobStatus(job.status)]
    if job is not None and job.status in OPEN and job.held:
        status = "paused"
    elif scheduled is not None and (job is None or job.status not in OPEN):
        status = "scheduled"
    reasons = _reasons(campaign, progress, job)
    reasons += [
        Reason(held.kind, held.text, since=held.since, until=held.until)
        for held in why_it_waits(session, org_id, campaign_id)
        if held.kind != "paused"
    ]
    if scheduled is not None and status == "scheduled":
        reasons.append(Reason("scheduled", "it starts at its time", until=scheduled.due_at))
    return Running(
        status=status,
        job_id=scheduled.id if scheduled is not None and status == "scheduled" else job.id if job else None,
        progress=progress,
        per_minute=rate,
        estimated_completion=_completion(session, org_id, progress, rate),
        errors=_errors(session, campaign_id),
        reasons=reasons,
    )


def _reasons(campaign: Campaign, progress: Progress, job: Job | None) -> list[Reason]:
    found = []
    if progress.held and campaign.status == CampaignStatus.PAUSED:
        by = f" by {campaign.paused_by}" if campaign.paused_by else ""
        found.append(Reason("paused", f"it was paused{by}", since=campaign.paused_at))
    if job is not None and job.status == JobStatus.FAILED and job.error:
        found.append(Reason("failed", job.error, since=job.finished_at))
    if progress.open_jobs and not progress.planned and not progress.held:
        found.append(Reason("planning", "its audience is still being written; the total grows"))
    return found


def _completion(session: Session, org_id: UUID, progress: Progress, rate: float) -> datetime | None:
    """When the rest will be done, at the present pace, and at the usual one where it does not move yet."""
    if progress.over or progress.held or not progress.planned:
        return None
    now = clock_of(session).now()
    left = (
        progress.wanted - progress.counts[AutomationStatus.SUCCESS] - progress.counts[AutomationStatus.FAILED]
    )
    begins: datetime = now if progress.waits_until is None else max(now, progress.waits_until)
    seconds = left * 60 / rate if rate > 0 else left / usual_pace(session, org_id)
    return begins + timedelta(seconds=min(max(0.0, seconds), 10 * 366 * 86_400))


def _errors(session: Session, campaign_id: UUID) -> list[Trouble]:
    """Failures by code, most first. Index ix_recipient_failed: it holds who failed, and nobody else."""
    failed = (
        Recipient.campaign_id == campaign_id,
        Recipient.automation_status == "failed",
    )
    found = session.execute(
        select(Recipient.error_code, func.count())
        .where(*failed)
        .group_by(Recipient.error_code)
        .order_by(func.count().desc(), Recipient.error_code)
        .limit(_CODES)
    ).all()
    troubles = []
    for code, count in found:
        text = session.execute(
            select(Recipient.error_text).where(*failed, Recipient.error_code == code).limit(1)
        ).scalar_one_or_none()
        troubles.append(Trouble(code or "UNKNOWN", count, text or code or ""))
    return troubles
