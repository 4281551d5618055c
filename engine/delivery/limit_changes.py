"""A limit was changed: workers learn of it with their next wave, and what waits for a limit goes on at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select, update

from engine.delivery import slices
from engine.limits import warm_up
from engine.limits.effective import PUT_BACK, mark_changed
from state.change import clock_of
from state.tables import Channel, Job, Organization, Recipient, Slice
from state.transitions import JobStatus, SliceState

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy import Update
    from sqlalchemy.orm import Session

__all__ = ["limits_changed"]

#: What a job or slice may be waiting for that a change of limits can end.
_ENDED = ("limit", "throttled", "quiet_hours")


def limits_changed(session: Session, org_id: UUID) -> None:
    """Let another limit of the organization take effect: what waits for one is looked at again at once, also who was
    put back for quiet hours, a frequency cap or a warm-up. Locks its row, then its channels, its jobs, then slices.

    A throttled channel stays blocked: only its provider can end that.
    """
    mark_changed(session, org_id)
    now = clock_of(session).now()
    _write(session, update(Organization).where(Organization.id == org_id).values(limits_changed_at=now))
    _write(
        session,
        update(Channel)
        .where(Channel.org_id == org_id, Channel.blocked_for == warm_up.BLOCKED_FOR)
        .values(blocked_until=None, blocked_for=None, blocked_reason=None),
    )
    begun = list(
        session.execute(
            select(Job.id, Job.campaign_id, Job.held)
            .where(Job.org_id == org_id, Job.status == JobStatus.PROCESSING)
            .order_by(Job.id)
            .with_for_update(key_share=True)
        )
    )
    for job_id, campaign_id, held in begun:
        _write(
            session,
            update(Job)
            .where(Job.id == job_id, Job.org_id == org_id, Job.waits_for.in_(("limit", warm_up.BLOCKED_FOR)))
            .values(waits_until=None, waits_reason=None, waits_for=None),
        )
        # Index ix_recipient_failed: those that were put back.
        put_back = select(Recipient.slice_number).where(
            Recipient.campaign_id == campaign_id,
            Recipient.error_code.in_(PUT_BACK),
            Recipient.job_id == job_id,
            Recipient.due_at > now,
        )
        # Index ix_slice_ready: those of the job that are not due yet.
        _write(
            session,
            update(Slice)
            .where(
                Slice.job_id == job_id,
                Slice.state == SliceState.READY,
                Slice.due_at > now,
                Slice.waits_for.in_(_ENDED) | Slice.number.in_(put_back),
            )
            .values(due_at=now, waits_for=None),
        )
        if not held:
            slices.open_window(session, org_id, job_id)


def _write(session: Session, statement: Update) -> None:
    session.execute(statement.execution_options(synchronize_session=False))
