"""How long a run will take, before it begins: at the pace of the organization's latest runs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select

from state.tables import Job
from state.transitions import JobStatus

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session

__all__ = ["DEFAULT_PACE", "expected_duration", "usual_pace"]

#: Recipients a second where nothing is known yet: what one worker does over one modest mail server.
DEFAULT_PACE = 200.0
_RUNS = 5
#: Runs of fewer recipients say more about starting than about sending.
_LEAST = 100


def usual_pace(session: Session, org_id: UUID) -> float:
    """Recipients a second, as the latest finished runs went. Index job (org_id, …): the latest few."""
    found = session.execute(
        select(Job.total, Job.started_at, Job.finished_at)
        .where(
            Job.org_id == org_id,
            Job.status == JobStatus.FINISHED,
            Job.total >= _LEAST,
            Job.started_at.is_not(None),
            Job.finished_at.is_not(None),
        )
        .order_by(Job.created_at.desc())
        .limit(_RUNS)
    ).all()
    seconds = sum((run.finished_at - run.started_at).total_seconds() for run in found)
    recipients = sum(run.total for run in found)
    return recipients / max(seconds, 0.001) if recipients else DEFAULT_PACE


def expected_duration(session: Session, org_id: UUID, recipients: int) -> timedelta:
    """How long a run to so many recipients will take; a second at least."""
    return timedelta(seconds=max(1.0, recipients / usual_pace(session, org_id)))
