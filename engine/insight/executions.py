"""A campaign's executions, whatever kind: jobs, starts that wait for their time, dry runs. Newest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from state.errors import NotFound
from state.tables import DryRun, Job, ScheduledRun
from state.transitions import JobStatus

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

__all__ = ["JOB_WORDS", "Execution", "find_execution", "list_executions"]

_MOST = 100
#: A job's status → the word for it (docs/contract/campaigns-api.md).
JOB_WORDS = {
    JobStatus.QUEUED: "started",
    JobStatus.PROCESSING: "running",
    JobStatus.SEND_REPORT: "running",
    JobStatus.FINISHED: "completed",
    JobStatus.CANCELLED: "cancelled",
    JobStatus.FAILED: "failed",
}
_DRY = {"queued": "started"}


@dataclass(frozen=True, slots=True)
class Execution:
    """One of them."""

    id: UUID
    kind: str
    """activation, retrigger, enrolment, scheduled or test."""
    status: str
    """scheduled, started, running, completed, failed, cancelled or skipped."""
    reach: float
    priority: str | None
    created_at: datetime
    due_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    total: int = 0
    successful: int = 0
    failed: int = 0
    findings: tuple[dict[str, Any], ...] = ()
    """What went wrong by code: `{"code", "count", "message", "recipients"?}`."""
    reason: str | None = None


def list_executions(session: Session, org_id: UUID, campaign_id: UUID) -> list[Execution]:
    """The latest 100 executions of a campaign, newest first. Three statements."""
    found: list[Execution] = []
    for table, shown in ((Job, _job), (ScheduledRun, _scheduled), (DryRun, _dry)):
        listed: Any = table
        rows = session.scalars(
            select(listed)
            .where(listed.org_id == org_id, listed.campaign_id == campaign_id)
            .order_by(listed.created_at.desc())
            .limit(_MOST)
        )
        found += [shown(row) for row in rows]
    jobs = {execution.id for execution in found if execution.kind not in ("scheduled", "test")}
    # A start that was made is its job.
    found = [one for one in found if one.kind != "scheduled" or one.id not in jobs]
    return sorted(found, key=lambda one: (one.created_at, one.id), reverse=True)[:_MOST]


def find_execution(session: Session, org_id: UUID, campaign_id: UUID, execution_id: UUID) -> Execution:
    """One execution.

    Raises:
        NotFound: the campaign has none of that id.
    """
    for table, shown in ((Job, _job), (ScheduledRun, _scheduled), (DryRun, _dry)):
        listed: Any = table
        row = session.execute(
            select(listed).where(
                listed.id == execution_id, listed.org_id == org_id, listed.campaign_id == campaign_id
            )
        ).scalar_one_or_none()
        if row is not None:
            return shown(row)
    raise NotFound("execution", execution_id)


def _job(row: Any) -> Execution:
    errors = (row.report or {}).get("errors", ())
    return Execution(
        id=row.id,
        kind=row.kind,
        status=JOB_WORDS[JobStatus(row.status)],
        reach=row.reach,
        priority=row.priority,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        total=row.total,
        successful=max(0, row.success),
        failed=max(0, row.failed),
        findings=tuple({"code": one["code"], "count": one["count"]} for one in errors),
        reason=row.error,
    )


def _scheduled(row: Any) -> Execution:
    return Execution(
        id=row.id,
        kind="scheduled",
        status="scheduled" if row.status == "waiting" else row.status,
        reach=row.reach,
        priority=row.priority,
        created_at=row.created_at,
        due_at=row.due_at,
        finished_at=row.ended_at,
        reason=row.reason,
    )


def _dry(row: Any) -> Execution:
    findings = sorted(row.findings.items(), key=lambda item: (-item[1]["count"], item[0]))
    return Execution(
        id=row.id,
        kind="test",
        status=_DRY.get(row.status, row.status),
        reach=row.reach,
        priority=None,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        total=row.total,
        successful=row.successful,
        failed=row.total - row.successful,
        findings=tuple({"code": code, **found} for code, found in findings),
        reason=row.error,
    )
