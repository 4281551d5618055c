"""An organization at a glance: what runs and why it waits, what failed in the last day, channels, processes, plans.

Everything rests on counters, reports and indexes; the number of statements is bounded by `RUNNING`, however many
campaigns and recipients there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import func, or_, select

from engine.insight.outlook import outlook
from engine.kernel.heartbeat import absences, last_seen, running_processes
from state.change import clock_of
from state.sets import among
from state.tables import Campaign, Channel, DeliveryHour, Job, ProcessKind, Recipient, ScheduledRun
from state.transitions import OPEN, AutomationStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.insight.outlook import Outlook

__all__ = [
    "RUNNING",
    "SINCE",
    "Coming",
    "Failure",
    "Overview",
    "Process",
    "RunningCampaign",
    "overview",
    "processes_of",
]

#: Running campaigns that are shown.
RUNNING = 6
#: How far back "lately" goes.
SINCE = timedelta(hours=24)
#: Jobs whose failures are shown, the latest.
_JOBS = 100
_COMING = 5
_CHANNELS = 50
_CODES = 10


class RunningCampaign(NamedTuple):
    """A campaign with a job that is not over."""

    id: UUID
    name: str
    status: str
    outlook: Outlook


class Failure(NamedTuple):
    """Recipients of one campaign that failed lately with one code."""

    code: str
    recipients: int
    campaign_id: UUID
    campaign: str


class Process(NamedTuple):
    """How many processes of a kind run."""

    kind: ProcessKind
    running: int
    seen_at: datetime | None
    missing: str | None
    """A sentence, where one is needed and none has been seen for a while."""


class Coming(NamedTuple):
    """A start that waits for its time."""

    campaign_id: UUID
    campaign: str
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Overview:
    """One look."""

    at: datetime
    running: Sequence[RunningCampaign]
    """The latest begun first; at most `RUNNING`."""
    running_total: int
    sent: int
    """Messages that providers took, in the last day."""
    failed: int
    failures: Sequence[Failure]
    """Most first."""
    processes: Sequence[Process]
    channels: Sequence[Channel]
    coming: Sequence[Coming]
    campaigns: int
    """All there are."""

    @property
    def per_minute(self) -> float:
        """Outcomes a minute of the running campaigns that are shown."""
        return sum(one.outlook.per_minute for one in self.running)


def overview(session: Session, org_id: UUID) -> Overview:
    """An organization's."""
    now = clock_of(session).now()
    since = now - SINCE
    running, total = _running(session, org_id)
    jobs = _recent_jobs(session, org_id, since)
    sent, failed = _delivered(session, org_id, {job.campaign_id for job in jobs}, since)
    return Overview(
        at=now,
        running=running,
        running_total=total,
        sent=sent,
        failed=failed,
        failures=_failures(session, org_id, jobs),
        processes=processes_of(session),
        channels=list(
            session.scalars(
                select(Channel).where(Channel.org_id == org_id).order_by(Channel.name).limit(_CHANNELS)
            )
        ),
        coming=_coming(session, org_id),
        campaigns=session.execute(
            select(func.count()).select_from(Campaign).where(Campaign.org_id == org_id)
        ).scalar_one(),
    )


def _running(session: Session, org_id: UUID) -> tuple[list[RunningCampaign], int]:
    """Index ix_job_open: what is over is not walked past."""
    begun = (
        select(Job.campaign_id, func.max(Job.created_at).label("at"), func.count().over().label("total"))
        .where(Job.org_id == org_id, Job.status.in_(OPEN))
        .group_by(Job.campaign_id)
        .subquery("begun")
    )
    found = session.execute(
        select(Campaign, begun.c.total)
        .join(begun, begun.c.campaign_id == Campaign.id)
        .where(Campaign.org_id == org_id)
        .order_by(begun.c.at.desc(), Campaign.id)
        .limit(RUNNING)
    ).all()
    shown = [RunningCampaign(row.id, row.name, row.status, outlook(session, row)) for row, _ in found]
    return shown, found[0].total if found else 0


def _recent_jobs(session: Session, org_id: UUID, since: datetime) -> Sequence[Job]:
    """Jobs that are open, or were over lately, newest first."""
    return session.scalars(
        select(Job)
        .where(Job.org_id == org_id, or_(Job.status.in_(OPEN), Job.finished_at >= since))
        .order_by(Job.created_at.desc(), Job.id)
        .limit(_JOBS)
    ).all()


def _delivered(session: Session, org_id: UUID, campaign_ids: set[UUID], since: datetime) -> tuple[int, int]:
    """Sent and failed, by roll-ups; their primary key begins with the campaign."""
    sent, failed = session.execute(
        select(
            func.coalesce(func.sum(DeliveryHour.sent), 0), func.coalesce(func.sum(DeliveryHour.failed), 0)
        ).where(
            among(session, DeliveryHour.campaign_id, list(campaign_ids)),
            DeliveryHour.org_id == org_id,
            DeliveryHour.hour >= since,
        )
    ).one()
    return int(sent), max(0, int(failed))


def _failures(session: Session, org_id: UUID, jobs: Sequence[Job]) -> list[Failure]:
    """Of jobs that are over by their reports, of the others by their recipients with an error (ix_recipient_failed)."""
    counts: dict[tuple[str, UUID], int] = {}
    going: list[Job] = []
    for job in jobs:
        if job.report is None:
            going.append(job)
        for error in (job.report or {}).get("errors", ()):
            if error["status"] == AutomationStatus.FAILED:
                key = (error["code"], job.campaign_id)
                counts[key] = counts.get(key, 0) + int(error["count"])
    found = session.execute(
        select(Recipient.error_code, Recipient.campaign_id, func.count())
        .where(
            Recipient.org_id == org_id,
            among(session, Recipient.campaign_id, list({job.campaign_id for job in going})),
            among(session, Recipient.job_id, [job.id for job in going]),
            Recipient.automation_status == AutomationStatus.FAILED,
            Recipient.error_code.is_not(None),
        )
        .group_by(Recipient.error_code, Recipient.campaign_id)
    )
    for code, campaign_id, count in found:
        key = (str(code), campaign_id)
        counts[key] = counts.get(key, 0) + int(count)
    names = _names(session, org_id, {campaign_id for _, campaign_id in counts})
    failures = [
        Failure(code, count, campaign_id, names.get(campaign_id, ""))
        for (code, campaign_id), count in counts.items()
    ]
    return sorted(failures, key=lambda one: (-one.recipients, one.code, one.campaign))[:_CODES]


def _names(session: Session, org_id: UUID, campaign_ids: set[UUID]) -> Mapping[UUID, str]:
    found = session.execute(
        select(Campaign.id, Campaign.name).where(
            Campaign.org_id == org_id, among(session, Campaign.id, list(campaign_ids))
        )
    )
    return {campaign_id: name for campaign_id, name in found}  # noqa: C416 - rows become pairs


def processes_of(session: Session) -> list[Process]:
    """Every kind, and how many of it run. Three statements."""
    running, seen, missing = running_processes(session), last_seen(session), absences(session)
    return [Process(kind, running[kind], seen[kind], missing.get(kind)) for kind in ProcessKind]


def _coming(session: Session, org_id: UUID) -> list[Coming]:
    """Index ix_scheduled_run_waiting."""
    found = session.execute(
        select(Campaign.id, Campaign.name, ScheduledRun.due_at)
        .join(Campaign, Campaign.id == ScheduledRun.campaign_id)
        .where(ScheduledRun.org_id == org_id, ScheduledRun.status == "waiting")
        .order_by(ScheduledRun.due_at, ScheduledRun.id)
        .limit(_COMING)
    )
    return [Coming(*row) for row in found]
