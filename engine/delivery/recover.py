"""What the sweeper does for delivery: wake what is due, take back what expired, start again what went silent.

Every step is a compare-and-set that would be harmless to repeat (actors.sweeper says who does it, and when):

| found | done |
|---|---|
| an expired lease | the slice is ready again; whom it has claimed, without an outcome, is in doubt (below) |
| a slice that was woken and not taken for a lease's time | woken again: the message was lost |
| a wait that is over | the job's window opens again |
| a running job with room in its window | slices that fell due are woken |
| a plan, a report or a wind-up that went silent | its command is sent again |

Doubt follows the channel's policy: `resend` makes the recipient due again with the same execution id, `hold` fails it
with OUTCOME_UNKNOWN, for a person to retrigger. Either way the attempt is counted, so that a recipient that kills its
worker ends failed.

While the database is away nobody can renew a lease. Workers that live keep their outcomes and come back with them, so
for a lease's time after an outage nothing is taken from anybody; else the first to come, the sweeper or the worker,
would decide whether a wave is sent twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import String, Uuid, exists, func, literal, select, update

from engine.delivery import slices
from engine.delivery.counters import recount
from engine.delivery.earlier_attempts import keep_doubt
from engine.delivery.lease_statements import UNSETTLED, RecipientStatements
from engine.delivery.outcomes import OUTCOME_UNKNOWN
from engine.delivery.recipient_events import record_outcomes
from engine.delivery.rollup import CounterKey, hour_of
from engine.delivery.sender import policy_at
from engine.events.outbox import emits_recipient_events
from engine.kernel.commands import Activate, Cancel, Execute, Report, Retrigger
from engine.kernel.for_each import for_each
from engine.kernel.runtime import wake
from engine.kernel.triggers import reach
from state.change import clock_of, sources_of
from state.sets import among
from state.tables import Job, Recipient, Slice
from state.transitions import AUTOMATION, SENDING, SLICE, STOPPED, AutomationStatus, JobStatus, SliceState

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.kernel.runtime import Runtime

__all__ = ["next_due", "restart_silent_jobs", "take_back_expired", "wake_lost", "wake_ready"]

log = structlog.get_logger(__name__)

#: Slices taken back in one transaction.
_BATCH = 100
_LOST = "the worker was lost after the message may have left"


def take_back_expired(runtime: Runtime) -> tuple[int, int]:
    """Make expired leases ready and settle the doubt they left, a batch a transaction; nothing within a lease's time
    after an outage. Returns slices and recipients.
    """
    slices_taken, in_doubt = 0, 0
    while True:
        with runtime.transaction() as session:
            could_renew = runtime.database.uptime(session) > runtime.settings.lease
            expired, doubtful = _take_back(session) if could_renew else (0, 0)
            reach("recover.before_commit")
        reach("recover.committed")
        slices_taken += expired
        in_doubt += doubtful
        if expired < _BATCH:
            return slices_taken, in_doubt


def wake_ready(runtime: Runtime) -> int:
    """Wake slices of running jobs that fell due, or found room, and end waits that are over. A transaction a job.

    Returns:
        How many slices were woken by their time.
    """

    def wake_job(found: tuple[UUID, UUID, bool]) -> int:
        org_id, job_id, waited = found
        with runtime.transaction() as session:
            if not waited:
                return slices.wake_next(session, org_id, job_id)
            session.execute(
                update(Job)
                .where(Job.id == job_id, Job.org_id == org_id, Job.waits_until <= clock_of(session).now())
                .values(waits_until=None, waits_reason=None, waits_for=None)
                .execution_options(synchronize_session=False)
            )
            slices.open_window(session, org_id, job_id)
            return 0

    return for_each(_running(runtime), wake_job)


def next_due(runtime: Runtime, *, after: datetime, before: datetime) -> datetime | None:
    """When the next slice of a running job falls due, or the next wait of one ends; None: neither does before then.

    One index look-up a running job (ix_slice_ready).

    Args:
        after: What fell due before waits for room in its job's window.
    """
    with runtime.database.read() as session:
        of_slices = (
            select(func.min(Slice.due_at))
            .where(
                Slice.job_id == Job.id,
                Slice.state == SliceState.READY,
                Slice.woken_at.is_(None),
                Slice.due_at > after,
                Slice.due_at < before,
            )
            .scalar_subquery()
        )
        return session.execute(
            select(func.min(func.coalesce(Job.waits_until, of_slices))).where(
                Job.status == JobStatus.PROCESSING,
                Job.held.is_(False),
                Job.waits_until.is_(None) | (Job.waits_until < before),
            )
        ).scalar_one()


def _take_back(session: Session) -> tuple[int, int]:
    """Make expired leases ready and settle the doubt they left. Returns slices and recipients."""
    now = clock_of(session).now()
    expired = session.scalars(
        select(Slice)
        .where(Slice.state == SliceState.LEASED, Slice.lease_expires_at < now)
        .order_by(Slice.lease_expires_at)
        .limit(_BATCH)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    ).all()
    in_doubt = 0
    for lost in expired:
        org_id, job_id, number = lost.org_id, lost.job_id, lost.number
        held, failed = _settle_doubt(session, lost) if lost.claimed else (0, 0)
        in_doubt += held
        # What the lease had counted belongs to its own hour, what is decided here to this one.
        key = CounterKey(lost.touchpoint_id, lost.variant, hour_of(now))
        slices.fold(session, org_id, job_id, number, in_progress=lost.in_progress, key=key)
        session.execute(
            update(Slice)
            .where(Slice.job_id == job_id, Slice.number == number, sources_of(SLICE, SliceState.READY))
            .values(
                state=SliceState.READY,
                lease_epoch=Slice.lease_epoch + 1,
                lease_expires_at=None,
                lease_owner=None,
                claimed=None,
                claimed_step=None,
                woken_at=None,
                due_at=now,
            )
            .execution_options(synchronize_session=False)
        )
        slices.fold(session, org_id, job_id, number, in_progress=recount(session, job_id, number))
        log.warning("slice.recovered", job_id=str(job_id), slice=number, in_doubt=held, failed=failed)
    return len(expired), in_doubt


def _settle_doubt(session: Session, lost: Slice) -> tuple[int, int]:
    """Decide about the recipients that a dead lease had on the wire, by the policy of the touchpoint they were sent to.
    The attempt ended with its worker, and is counted.

    Returns how many there were, and how many failed.
    """
    org_id, job_id, touchpoint_id = lost.org_id, lost.job_id, lost.touchpoint_id
    ours = (
        Recipient.job_id == job_id,
        Recipient.slice_number == lost.number,
        among(session, Recipient.entity_id, lost.claimed or ()),
        UNSETTLED,
    )
    policy = policy_at(session, org_id, touchpoint_id)
    resend = policy is not None and policy.doubt == "resend"
    attempts = policy.max_attempts if policy is not None and resend else 0
    now = clock_of(session).now()
    sequence = lost.claimed_step is not None
    at = literal(touchpoint_id if sequence else None, Uuid())
    execution_id = RecipientStatements.of(session).current_execution_id(at)
    settled: dict[str, Any] = {
        "attempt": Recipient.attempt + 1,
        "execution_id": execution_id,
        "error_code": OUTCOME_UNKNOWN,
        "error_text": _LOST,
        "updated_at": now,
    }
    if sequence:
        variant = func.coalesce(Recipient.variant, literal(lost.variant, String()))
        settled |= {"touchpoint_id": touchpoint_id, "step": lost.claimed_step, "variant": variant}
    given_up = session.execute(
        update(Recipient)
        .where(*ours, Recipient.attempt + 1 >= attempts, sources_of(AUTOMATION, AutomationStatus.FAILED))
        .values(automation_status=AutomationStatus.FAILED, **settled)
        .returning(Recipient.campaign_id, Recipient.entity_id)
        .execution_options(synchronize_session=False)
    ).all()
    keep_doubt(
        session, ours, execution_id, touchpoint_id=touchpoint_id, code=OUTCOME_UNKNOWN, text=_LOST, now=now
    )
    again = session.execute(
        update(Recipient)
        .where(*ours)
        .values(due_at=now, **settled)
        .execution_options(synchronize_session=False)
    ).rowcount  # type: ignore[attr-defined]
    if given_up and emits_recipient_events(session, org_id):
        people = [row.entity_id for row in given_up]
        why = [(OUTCOME_UNKNOWN, _LOST)] * len(people)
        about = (org_id, given_up[0].campaign_id, job_id)
        record_outcomes(session, about, AutomationStatus.FAILED, people, why, touchpoint_id=touchpoint_id)
    return again + len(given_up), len(given_up)


def wake_lost(session: Session, *, silence: timedelta) -> int:
    """Send the wake-ups of slices that were woken `silence` ago and are still ready: those were lost."""
    now = clock_of(session).now()
    before = now - silence
    running = select(Job.id).where(Job.status == JobStatus.PROCESSING, Job.held.is_(False))
    lost = session.execute(
        select(Slice.org_id, Slice.job_id, Slice.number)
        .where(
            Slice.state == SliceState.READY,
            Slice.woken_at.is_not(None),
            Slice.woken_at < before,
            Slice.job_id.in_(running),
        )
        .with_for_update(skip_locked=True)
    ).all()
    for job_id in {job_id for _, job_id, _ in lost}:
        numbers = [number for _, job, number in lost if job == job_id]
        session.execute(
            update(Slice)
            .where(Slice.job_id == job_id, among(session, Slice.number, numbers))
            .values(woken_at=now)
            .execution_options(synchronize_session=False)
        )
    wake(session, *(Execute(org_id=org_id, job_id=job_id, number=number) for org_id, job_id, number in lost))
    return len(lost)


def restart_silent_jobs(session: Session, *, silence: timedelta) -> int:
    """Send the commands of plans, reports and wind-ups on which nobody has worked for `silence`."""
    silent = (Job.touched_at < clock_of(session).now() - silence,)
    unplanned = (
        Job.status.in_(SENDING),
        Job.planned.is_(False),
        Job.held.is_(False),
    )
    unstarted = (Job.status == JobStatus.QUEUED, Job.planned.is_(True), Job.held.is_(False))
    unreported = (Job.status == JobStatus.SEND_REPORT,)
    unwound = (Job.status.in_(STOPPED),)
    count = 0
    for command, condition in (
        (Activate, unplanned),
        (Retrigger, unstarted),
        (Report, unreported),
        (Cancel, unwound),
    ):
        found = session.execute(
            update(Job)
            .where(*silent, *condition)
            .values(touched_at=clock_of(session).now())
            .returning(Job.org_id, Job.id)
            .execution_options(synchronize_session=False)
        ).all()
        wake(session, *(command(org_id=org_id, job_id=job_id) for org_id, job_id in found))
        count += len(found)
    return count


def _running(runtime: Runtime) -> list[tuple[UUID, UUID, bool]]:
    """Running jobs with something to wake: org, job, and whether a wait of theirs is over."""
    with runtime.database.read() as session:
        now = clock_of(session).now()
        ready = exists().where(
            Slice.job_id == Job.id,
            Slice.state == SliceState.READY,
            Slice.due_at <= now,
            Slice.woken_at.is_(None),
        )
        found = session.execute(
            select(Job.org_id, Job.id, func.coalesce(Job.waits_until <= now, False)).where(
                Job.status == JobStatus.PROCESSING,
                Job.held.is_(False),
                (Job.waits_until.is_(None) & ready) | (Job.waits_until <= now),
            )
        )
        return [(org_id, job_id, bool(waited)) for org_id, job_id, waited in found]
