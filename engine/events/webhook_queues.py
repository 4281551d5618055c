"""Lanes: the deliveries to one webhook about one campaign, one delivery after another.

Promises:
- Deliveries of a lane are made in the order of their events. One that fails is tried again after 1, 5, 25 … seconds,
  at most `LONGEST` apart, until it is two days old; meanwhile its lane waits, and no other.
- At least once: an outcome is written after the answer came; a worker that dies in between leaves a lease that expires,
  and the next worker sends again, under the same event id.
- A lease has an epoch; a worker that lost its lane writes nothing.
- A webhook that has failed without a success for `PATIENCE`, or says 410 Gone, is switched off, with an event. What
  waits for it goes on waiting, and is sent when it is switched on again.

Every due time stands in the database; the sweeper wakes what is due (`wake_due`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Integer, exists, or_, select, update

from config.errors import MusterError
from engine.events.outbox import record
from engine.kernel.commands import Notify
from engine.kernel.runtime import wake
from state.change import clock_of
from state.sets import rows
from state.tables import Event, Webhook, WebhookDelivery, WebhookLane

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

__all__ = [
    "KEPT",
    "LONGEST",
    "PATIENCE",
    "Answer",
    "Waiting",
    "WebhookQueue",
    "WebhookQueueLost",
    "close",
    "lease",
    "load",
    "retry_delay",
    "settle",
    "wake_due",
]

#: For how long a delivery is tried.
KEPT = timedelta(days=2)
#: Between two attempts at most.
LONGEST = timedelta(hours=3)
#: How long a webhook may fail without one success before it is switched off.
PATIENCE = timedelta(days=3)
#: Deliveries that are read at once.
PAGE = 20

_GONE = 410
_ERROR_LIMIT = 500
#: Lanes that one sweep wakes.
_WOKEN = 500


class WebhookQueueLost(MusterError):
    """Somebody else has the lane by now. Nothing was written."""


@dataclass(frozen=True, slots=True)
class WebhookQueue:
    """The right to deliver on a lane, until it expires."""

    org_id: UUID
    webhook_id: UUID
    campaign_id: UUID
    epoch: int

    def row(self) -> tuple[ColumnElement[bool], ...]:
        """The condition for the lane's row under this lease."""
        return (
            WebhookLane.webhook_id == self.webhook_id,
            WebhookLane.campaign_id == self.campaign_id,
            WebhookLane.org_id == self.org_id,
            WebhookLane.lease_epoch == self.epoch,
            WebhookLane.lease_expires_at.is_not(None),
        )

    def waiting(self) -> tuple[ColumnElement[bool], ...]:
        """The condition for its deliveries. Index ix_webhook_delivery_waiting."""
        return (
            WebhookDelivery.webhook_id == self.webhook_id,
            WebhookDelivery.campaign_id == self.campaign_id,
            WebhookDelivery.state == "pending",
        )


@dataclass(frozen=True, slots=True)
class Waiting:
    """One delivery that is to be made."""

    id: int
    attempts: int
    created_at: datetime
    event_id: int
    event: str
    happened_at: datetime | None
    """Absent: the event was forgotten meanwhile."""
    job_id: UUID | None
    data: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What an attempt came to."""

    delivery: Waiting
    ok: bool
    milliseconds: int
    status: int | None = None
    error: str | None = None
    retry_after: float | None = None
    """Seconds, when the receiver named them."""


def retry_delay(attempts: int, *, jitter: float, retry_after: float | None = None) -> timedelta:
    """How long to wait after `attempts` (1, 2, …) failed: 1, 5, 25 … s (docs/contract/campaigns-api.md), a tenth of
    it spread.

    Args:
        jitter: 0 to 1.
    """
    longest = LONGEST.total_seconds()
    seconds = min(5.0 ** min(attempts - 1, 10), longest) * (1 + jitter / 10)
    return timedelta(seconds=max(seconds, min(retry_after or 0, longest)))


def lease(
    session: Session, org_id: UUID, webhook_id: UUID, campaign_id: UUID, *, lasts: timedelta
) -> WebhookQueue | None:
    """Take a lane that is due, of a webhook that is on; None when there is nothing to take. Primary keys."""
    now = clock_of(session).now()
    active = exists().where(Webhook.id == webhook_id, Webhook.org_id == org_id, Webhook.active.is_(True))
    epoch = session.execute(
        update(WebhookLane)
        .where(
            WebhookLane.webhook_id == webhook_id,
            WebhookLane.campaign_id == campaign_id,
            WebhookLane.org_id == org_id,
            WebhookLane.due_at <= now,
            or_(WebhookLane.lease_expires_at.is_(None), WebhookLane.lease_expires_at <= now),
            active,
        )
        .values(lease_epoch=WebhookLane.lease_epoch + 1, lease_expires_at=now + lasts)
        .returning(WebhookLane.lease_epoch)
        .execution_options(synchronize_session=False)
    ).scalar_one_or_none()
    return None if epoch is None else WebhookQueue(org_id, webhook_id, campaign_id, epoch)


def load(session: Session, lane: WebhookQueue) -> list[Waiting]:
    """The first deliveries of a lane that may be tried now, in order. Index ix_webhook_delivery_waiting."""
    now = clock_of(session).now()
    found = session.execute(
        select(
            WebhookDelivery.id,
            WebhookDelivery.attempts,
            WebhookDelivery.created_at,
            WebhookDelivery.event_id,
            WebhookDelivery.event,
            Event.created_at.label("happened_at"),
            Event.job_id,
            Event.data,
            WebhookDelivery.due_at,
        )
        .outerjoin(Event, Event.id == WebhookDelivery.event_id)
        .where(*lane.waiting())
        .order_by(WebhookDelivery.id)
        .limit(PAGE)
    ).all()
    page: list[Waiting] = []
    for row in found:
        if row.due_at is not None and row.due_at > now:
            break  # those behind it wait as well
        page.append(Waiting(*row[:-1]))
    return page


def settle(
    session: Session, lane: WebhookQueue, answers: Sequence[Answer], *, lasts: timedelta, jitter: float
) -> None:
    """Write what came of some deliveries, in order, and renew the lease. Only the last one may have failed.

    Raises:
        WebhookQueueLost: somebody else has the lane.
    """
    now = clock_of(session).now()
    held = session.execute(
        update(WebhookLane)
        .where(*lane.row())
        .values(lease_expires_at=now + lasts)
        .returning(WebhookLane.lease_epoch)
        .execution_options(synchronize_session=False)
    ).first()
    if held is None:
        raise WebhookQueueLost(f"webhook {lane.webhook_id}, campaign {lane.campaign_id}, epoch {lane.epoch}")
    made = [answer for answer in answers if answer.ok]
    if made:
        _deliver(session, made, now)
    failed = next((answer for answer in answers if not answer.ok), None)
    if failed is not None:
        _fail(session, failed, now, jitter)
    if answers:
        _judge(session, lane, answers[-1], now)


def _deliver(session: Session, answers: Sequence[Answer], now: datetime) -> None:
    given = rows(
        session,
        {"id": BigInteger, "status": Integer, "milliseconds": Integer},
        [(answer.delivery.id, answer.status, answer.milliseconds) for answer in answers],
    )
    session.execute(
        update(WebhookDelivery)
        .where(WebhookDelivery.id == given.c.id, WebhookDelivery.state == "pending")
        .values(
            state="delivered",
            attempts=WebhookDelivery.attempts + 1,
            status=given.c.status,
            milliseconds=given.c.milliseconds,
            error=None,
            due_at=None,
            attempted_at=now,
            delivered_at=now,
        )
        .execution_options(synchronize_session=False)
    )


def _fail(session: Session, answer: Answer, now: datetime, jitter: float) -> None:
    """Tried again later, for the last time when it is two days old; after that it is dead."""
    delivery = answer.delivery
    ends = delivery.created_at + KEPT
    dead = now >= ends or delivery.happened_at is None
    delay = retry_delay(delivery.attempts + 1, jitter=jitter, retry_after=answer.retry_after)
    session.execute(
        update(WebhookDelivery)
        .where(WebhookDelivery.id == delivery.id, WebhookDelivery.state == "pending")
        .values(
            state="dead" if dead else "pending",
            attempts=delivery.attempts + 1,
            status=answer.status,
            milliseconds=answer.milliseconds,
            error=(answer.error or "")[:_ERROR_LIMIT],
            due_at=None if dead else min(now + delay, ends),
            attempted_at=now,
        )
        .execution_options(synchronize_session=False)
    )


def _judge(session: Session, lane: WebhookQueue, last: Answer, now: datetime) -> None:
    """Note since when the webhook fails, and switch it off when that is too long. Writes only what changes."""
    webhook = (Webhook.id == lane.webhook_id, Webhook.org_id == lane.org_id)
    if last.ok:
        _set(session, *webhook, Webhook.failing_since.is_not(None), failing_since=None)
        return
    _set(session, *webhook, Webhook.failing_since.is_(None), failing_since=now)
    gone = last.status == _GONE
    overdue = Webhook.failing_since <= now - PATIENCE
    reason = "the receiver answered 410 Gone" if gone else f"every attempt failed for {PATIENCE.days} days"
    condition = () if gone else (overdue,)
    disabled = _set(
        session,
        *webhook,
        Webhook.active.is_(True),
        *condition,
        active=False,
        disabled_reason=reason,
        updated_at=now,
    )
    if disabled:
        record(
            session,
            lane.org_id,
            "webhook.disabled",
            webhook_id=str(lane.webhook_id),
            reason=reason,
            error=(last.error or "")[:_ERROR_LIMIT],
        )


def _set(session: Session, *where: ColumnElement[bool], **values: Any) -> bool:
    statement = update(Webhook).where(*where).values(values).returning(Webhook.id)
    return session.execute(statement.execution_options(synchronize_session=False)).first() is not None


def close(session: Session, lane: WebhookQueue) -> None:
    """Give a lane back: due when its first delivery is, or with nothing to do.

    Call it behind `settle` in one transaction, which holds the lane's row: a transaction that adds a delivery meanwhile
    opens the lane again behind us.
    """
    now = clock_of(session).now()
    first = session.execute(
        select(WebhookDelivery.due_at).where(*lane.waiting()).order_by(WebhookDelivery.id).limit(1)
    ).first()
    due_at = None if first is None else max(first.due_at or now, now)
    session.execute(
        update(WebhookLane)
        .where(*lane.row())
        .values(due_at=due_at, lease_expires_at=None)
        .execution_options(synchronize_session=False)
    )
    if due_at == now:
        wake(session, Notify(org_id=lane.org_id, webhook_id=lane.webhook_id, campaign_id=lane.campaign_id))


def wake_due(session: Session) -> int:
    """Wake lanes that are due and that nobody has, of all organizations; returns how many. The sweeper's.

    Index ix_webhook_lane_due: as many rows as there are lanes with something pending.
    """
    now = clock_of(session).now()
    due = session.execute(
        select(WebhookLane.org_id, WebhookLane.webhook_id, WebhookLane.campaign_id)
        .join(Webhook, Webhook.id == WebhookLane.webhook_id)
        .where(
            WebhookLane.due_at <= now,
            or_(WebhookLane.lease_expires_at.is_(None), WebhookLane.lease_expires_at <= now),
            Webhook.active.is_(True),
        )
        .order_by(WebhookLane.due_at)
        .limit(_WOKEN)
    ).all()
    wake(session, *(Notify(org_id=org, webhook_id=hook, campaign_id=about) for org, hook, about in due))
    return len(due)
