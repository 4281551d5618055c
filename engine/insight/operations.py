"""How Muster itself is: its processes, and the slices of one organization that wait, are leased, or are late."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from engine.kernel.chores import list_chores
from engine.kernel.heartbeat import running_versions
from state.change import clock_of
from state.dialects import dialect_of
from state.tables import Job, Process, Slice
from state.transitions import OPEN, SliceState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

    from state.dialects import SlowStatement
    from state.tables import ChoreRun

__all__ = ["Operations", "operations", "slow_statements"]

_PROCESSES = 100
_STATEMENTS = 10


@dataclass(frozen=True, slots=True)
class Operations:
    """One look."""

    processes: Sequence[Process]
    """Those that were seen last, newest first."""
    open_jobs: int
    ready: int
    """Slices that wait for a worker, or for their time."""
    due: int
    """Of them: whose time has come."""
    leased: int
    expired: int
    """Leases that ran out and were not taken back yet."""
    oldest_due: datetime | None
    """Of the slices that are due."""
    versions: Mapping[str, int]
    """Processes that run, by version."""
    chores: Sequence[ChoreRun] = ()
    """What each of the sweeper's chores did last, by name."""


def operations(session: Session, org_id: UUID) -> Operations:
    """How it is now. Five statements; indexes ix_job_open, ix_slice_ready and ix_slice_lease."""
    now = clock_of(session).now()
    open_jobs = select(Job.id).where(Job.org_id == org_id, Job.status.in_(OPEN))
    due = (Slice.state == SliceState.READY) & (Slice.due_at <= now)
    counts = session.execute(
        select(
            func.count().filter(Slice.state == SliceState.READY),
            func.count().filter(due),
            func.count().filter(Slice.state == SliceState.LEASED),
            func.count().filter((Slice.state == SliceState.LEASED) & (Slice.lease_expires_at < now)),
            func.min(Slice.due_at).filter(due),
        ).where(Slice.job_id.in_(open_jobs), Slice.state != SliceState.DONE)
    ).one()
    jobs = session.execute(select(func.count()).select_from(open_jobs.subquery())).scalar_one()
    processes = session.scalars(
        select(Process).order_by(Process.seen_at.desc(), Process.id).limit(_PROCESSES)
    ).all()
    return Operations(
        processes, jobs, *counts, versions=running_versions(session), chores=list_chores(session)
    )


def slow_statements(session: Session) -> Sequence[SlowStatement] | None:
    """The statements that took the database longest in all; None: it keeps no record that we may read.

    They are of the whole installation, without values: for administrators.
    """
    return dialect_of(session).slow_statements(session, _STATEMENTS)
