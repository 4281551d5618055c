"""Scheduled starts: each is started once, at its time, whichever scheduler comes first (issue "The Campaigns API").

The truth is a row; starting it is a compare-and-set in the transaction that makes the job, whose id is the row's. A
scheduler that dies in the middle leaves the row waiting, and the next one starts it. Any number of schedulers may act
at once; nothing is kept in any process.

A start is late when nobody could start it at its time: everything was down, or the campaign was paused or still had a
job in progress. It is made up for within the campaign's `misfire_hours`, and skipped after them, or when the campaign's
end has passed; then it is recorded with the reason, and the event says so. Time that a running scheduler needs
(`PUNCTUAL`) is not lateness.

| found | done |
|---|---|
| due, the campaign is a draft, or active without a job in progress | started |
| due, the campaign is paused or delivers | waits on |
| later than the campaign's misfire hours, or past its end | skipped, `campaign.start_skipped` |
| the campaign is over | cancelled |
| the campaign cannot be started (no target, no message …) | failed, `campaign.failed` |
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import and_, exists, or_, select, update

from engine.campaigns import lifecycle
from engine.campaigns.audiences import resolve_audience
from engine.campaigns.messages import resolve_messages
from engine.delivery.campaign_moves import locked
from engine.delivery.enrol import guard
from engine.events.outbox import record
from engine.insight.scheduled_starts import WAITING
from engine.kernel.for_each import for_each
from engine.kernel.inputs import Invalid
from engine.kernel.rule_violations import RuleViolation
from engine.kernel.triggers import reach
from state.change import clock_of
from state.dialects import dialect_of
from state.locks import Lock, try_lock
from state.tables import Campaign, Job, ScheduledRun
from state.transitions import OPEN, CampaignStatus

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.orm import Session

    from engine.kernel.runtime import Runtime

__all__ = ["PUNCTUAL", "start_due"]

log = structlog.get_logger(__name__)

#: How late a start may be without being late.
PUNCTUAL = timedelta(minutes=1)
_OVER = (CampaignStatus.COMPLETED, CampaignStatus.CANCELLED)
#: Starts that one look takes from the database.
_BATCH = 50


def start_due(runtime: Runtime) -> int:
    """Start, or skip, every scheduled run whose time had come when this began; returns how many stopped waiting.

    What falls due meanwhile is for the next round, so that starts which never cease keep no other chore waiting.

    Raises:
        sqlalchemy.exc.OperationalError: the database is away; what was started is started, the rest waits.
        SomeFailed: some could not be started; they wait, and the others had their turn.
    """

    def start(run: tuple[UUID, UUID, UUID]) -> int:
        with runtime.transaction() as session:
            ends = _start(session, *run, window=runtime.settings.window)
            if ends:
                reach("schedule.before_commit")
        if ends:
            reach("schedule.committed")
        return ends

    with runtime.database.read() as session:
        began = clock_of(session).now()
    ended = 0
    while done := for_each(
        _due(runtime, began), start
    ):  # again: another scheduler may have been at some of them
        ended += done
    return ended


def _due(runtime: Runtime, now: datetime) -> Iterator[tuple[UUID, UUID, UUID]]:
    """What can stop waiting at `now`, oldest first: organization, campaign, run. Index ix_scheduled_run_waiting, then
    primary keys.
    """
    after: tuple[datetime, UUID] | None = None
    while True:
        with runtime.database.read() as session:
            page = session.execute(_page(session, now, after)).all()
        if not page:
            return
        for org_id, campaign_id, run_id, _ in page:
            yield org_id, campaign_id, run_id
        after = (page[-1].due_at, page[-1].id)


def _page(
    session: Session, now: datetime, after: tuple[datetime, UUID] | None
) -> Select[UUID, UUID, UUID, datetime]:
    delivers = exists().where(Job.campaign_id == Campaign.id, Job.status.in_(OPEN))
    can_start = Campaign.status.in_((CampaignStatus.DRAFT, CampaignStatus.ACTIVE)) & ~delivers
    page = (
        select(ScheduledRun.org_id, ScheduledRun.campaign_id, ScheduledRun.id, ScheduledRun.due_at)
        .join(Campaign, Campaign.id == ScheduledRun.campaign_id)
        .where(
            ScheduledRun.status == WAITING,
            ScheduledRun.due_at <= now,
            or_(can_start, Campaign.status.in_(_OVER), Campaign.ends_at <= now, _is_late(session, now)),
        )
        .order_by(ScheduledRun.due_at, ScheduledRun.id)
        .limit(_BATCH)
    )
    if after is None:
        return page
    due_at, run_id = after
    return page.where(
        or_(
            ScheduledRun.due_at > due_at,
            and_(ScheduledRun.due_at == due_at, ScheduledRun.id > run_id),
        )
    )


def _is_late(session: Session, now: datetime) -> ColumnElement[bool]:
    """Later than the campaign allows, and than a running scheduler needs."""
    latest = dialect_of(session).hours_after(ScheduledRun.due_at, Campaign.misfire_hours)
    return and_(latest < now, ScheduledRun.due_at < now - PUNCTUAL)


def _start(session: Session, org_id: UUID, campaign_id: UUID, run_id: UUID, *, window: int) -> int:
    """Start one, or say why not; 0 when another scheduler is at it, or was faster, or it waits on."""
    if not _alone(session, org_id):
        return 0
    guard(session, org_id, activates=True)  # before any row is locked
    campaign = locked(session, org_id, campaign_id)
    row = session.execute(
        select(ScheduledRun)
        .where(
            ScheduledRun.id == run_id,
            ScheduledRun.org_id == org_id,
            ScheduledRun.status == WAITING,
        )
        .with_for_update()
        .execution_options(populate_existing=True)
    ).scalar_one_or_none()
    if row is None:
        return 0
    now = clock_of(session).now()
    if campaign.status in _OVER:
        return _end(session, row, "cancelled", f"the campaign is {campaign.status}")
    missed = _missed(campaign, row, now)
    if missed is not None:
        record(
            session,
            org_id,
            "campaign.start_skipped",
            campaign_id=campaign_id,
            job_id=row.id,
            due_at=row.due_at.isoformat(),
            reason=missed,
        )
        return _end(session, row, "skipped", missed)
    if campaign.status == CampaignStatus.PAUSED or _delivers(session, campaign):
        return 0
    if campaign.starts_at is not None and campaign.starts_at > now:
        row.due_at = campaign.starts_at  # it was put off after this start was scheduled
        return 0
    try:
        with session.begin_nested():
            resolve_audience(session, campaign)
            resolve_messages(session, campaign)
            lifecycle.run(
                session,
                org_id,
                campaign_id,
                window=window,
                priority=row.priority,
                reach=row.reach,
                job_id=row.id,
            )
    except (RuleViolation, Invalid) as error:
        code = error.code if isinstance(error, RuleViolation) else "INVALID"
        record(
            session,
            org_id,
            "campaign.failed",
            campaign_id=campaign_id,
            job_id=row.id,
            code=code,
            reason=str(error),
        )
        return _end(session, row, "failed", f"{code}: {error}")
    return _end(session, row, "started", None)


def _alone(session: Session, org_id: UUID) -> bool:
    """Whether no other scheduler starts something of the organization just now. Activations of one organization take
    their turn anyway (`guard`): who waited for it would find the same starts made.
    """
    return try_lock(session, Lock.SCHEDULED_START, org_id)


def _missed(campaign: Campaign, row: ScheduledRun, now: datetime) -> str | None:
    """Why a start is not made up for any more; None when it is, or is not late."""
    late = now - row.due_at
    if campaign.ends_at is not None and campaign.ends_at <= now:
        return f"the campaign ended at {campaign.ends_at.isoformat()}"
    allowed = timedelta(hours=campaign.misfire_hours)
    if late <= max(PUNCTUAL, allowed):
        return None
    return f"missed by {late.total_seconds() / 3600:.2f} h; {campaign.misfire_hours:g} h are made up for"


def _delivers(session: Session, campaign: Campaign) -> bool:
    statement = select(Job.id).where(
        Job.org_id == campaign.org_id, Job.campaign_id == campaign.id, Job.status.in_(OPEN)
    )
    return session.execute(statement.limit(1)).first() is not None


def _end(session: Session, row: ScheduledRun, status: str, reason: str | None) -> int:
    now = clock_of(session).now()
    session.execute(
        update(ScheduledRun)
        .where(ScheduledRun.id == row.id, ScheduledRun.status == WAITING)
        .values(status=status, reason=reason, ended_at=now, updated_at=now)
        .execution_options(synchronize_session=False)
    )
    log.info(
        "schedule.ended", run_id=str(row.id), campaign_id=str(row.campaign_id), status=status, reason=reason
    )
    return 1
