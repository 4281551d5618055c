"""Counters of slices and jobs, for recipients that are moved by somebody else than the holder of their slice's lease.

A lease counts on its slice, and folds that into the job (engine.delivery.slices). Other code that moves a recipient
(retriggered, taken up by another job, reported on, deleted) changes the slice's counter, what of it is folded, and the
job's counter in one transaction: `move`, `count_out`. Slices are locked before recipients, as deliveries do:
`lock_slices`.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from sqlalchemy import Integer, Uuid, case, func, select, tuple_, update

from engine.delivery.cancel_codes import JOB_CANCELLED
from state.change import clock_of
from state.sets import rows
from state.tables import Job, Recipient, Slice
from state.transitions import AutomationStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

__all__ = ["Place", "count_out", "lock_slices", "move", "recount"]

#: Statuses that are counted; who is pending is what is left.
_COUNTED = frozenset(AutomationStatus) - {AutomationStatus.PENDING}


class Place(NamedTuple):
    """Who counts a recipient."""

    job_id: UUID
    number: int | None
    """Of its slice; None: it is in none (held out)."""
    unreached: bool = False
    """Whether stopping the job left it."""


def lock_slices(session: Session, *recipients: ColumnElement[bool]) -> None:
    """Lock the slices of the recipients that the conditions name, which the caller is about to lock and to move."""
    places = select(Recipient.job_id, Recipient.slice_number).where(
        *recipients, Recipient.slice_number.is_not(None)
    )
    session.execute(
        select(Slice.number)
        .where(tuple_(Slice.job_id, Slice.number).in_(places))
        .order_by(Slice.job_id, Slice.number)
        .with_for_update(key_share=True)
    ).all()


def move(session: Session, place: Place, old: str | None, new: str | None) -> None:
    """One recipient that `place` counts became `new` where it was `old`; None: it is not counted there any more.

    The caller holds the slice.
    """
    changes = {status: -1 for status in (old,) if status in _COUNTED}
    changes |= {status: changes.get(status, 0) + 1 for status in (new,) if status in _COUNTED}
    gone = int(new is None)
    if place.number is not None:
        values: dict[str, Any] = {"size": Slice.size - gone}
        for status, change in changes.items():
            for name in (status, f"{status}_folded"):
                values[name] = getattr(Slice, name) + change
        session.execute(
            update(Slice)
            .where(Slice.job_id == place.job_id, Slice.number == place.number)
            .values(**values)
            .execution_options(synchronize_session=False)
        )
    counted = {status: getattr(Job, status) + change for status, change in changes.items()}
    if place.unreached:
        counted["unreached"] = Job.unreached - 1
    session.execute(
        update(Job)
        .where(Job.id == place.job_id)
        .values(total=Job.total - gone, updated_at=clock_of(session).now(), **counted)
        .execution_options(synchronize_session=False)
    )


def count_out(session: Session, status: AutomationStatus, *recipients: ColumnElement[bool]) -> None:
    """These recipients, all in `status` (a final one), are about to be counted elsewhere: their slices and jobs count
    them no more. The caller holds the slices and the recipients. Three statements, and one a job.
    """
    name, folded = status.value, f"{status.value}_folded"
    found = session.execute(
        select(
            Recipient.job_id,
            Recipient.slice_number,
            func.count(),
            func.count(case((Recipient.error_code == JOB_CANCELLED, 1))),
        )
        .where(*recipients, Recipient.job_id.is_not(None))
        .group_by(Recipient.job_id, Recipient.slice_number)
    ).all()
    sliced = [(job_id, number, count) for job_id, number, count, _ in found if number is not None]
    if sliced:
        given = rows(session, {"job_id": Uuid, "number": Integer, "count": Integer}, sliced)
        session.execute(
            update(Slice)
            .where(Slice.job_id == given.c.job_id, Slice.number == given.c.number)
            .values(
                {
                    "size": Slice.size - given.c.count,
                    name: getattr(Slice, name) - given.c.count,
                    folded: getattr(Slice, folded) - given.c.count,
                }
            )
            .execution_options(synchronize_session=False)
        )
    jobs, unreached = Counter[UUID | None](), Counter[UUID | None]()
    for job_id, _, count, left_by_a_stop in found:
        jobs[job_id] += count
        unreached[job_id] += left_by_a_stop
    for job_id, count in sorted(jobs.items(), key=str):
        session.execute(
            update(Job)
            .where(Job.id == job_id)
            .values(
                {
                    "total": Job.total - count,
                    name: getattr(Job, name) - count,
                    "unreached": Job.unreached - unreached[job_id],
                    "updated_at": clock_of(session).now(),
                }
            )
            .execution_options(synchronize_session=False)
        )


def recount(session: Session, job_id: UUID, number: int) -> int:
    """Make the counters of a slice, which the caller holds, what its recipients are. What they are more or less than
    before reaches the job with the next fold. Index recipient (job_id, slice_number, entity_id).

    Returns:
        How many of them are in progress.
    """
    statuses = sorted(status.value for status in _COUNTED)
    counts: Sequence[Any] = session.execute(
        select(
            func.count(),
            *(func.count(case((Recipient.automation_status == status, 1))) for status in statuses),
        ).where(Recipient.job_id == job_id, Recipient.slice_number == number)
    ).one()
    values = dict(zip(("size", *statuses), counts, strict=True))
    session.execute(
        update(Slice)
        .where(Slice.job_id == job_id, Slice.number == number)
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    return int(values[AutomationStatus.IN_PROGRESS.value])
