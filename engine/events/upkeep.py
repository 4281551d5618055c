"""What the sweeper does for events: distribute what was left, wake what is due, forget what is old."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select

from engine.events.distribute import distribute
from engine.events.lanes import wake_due
from state.change import clock_of
from state.tables import Event, WebhookDelivery

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

    from engine.runtime import Runtime

__all__ = ["forget", "tend"]

#: Rows that are forgotten in one round: oldest first, so each round costs what it deletes.
_BATCH = 2000


def tend(runtime: Runtime) -> None:
    """One round.

    Raises:
        sqlalchemy.exc.OperationalError: the database is away; the next round does it all.
    """
    distribute(runtime)
    with runtime.transaction() as session:
        wake_due(session)
        forget(session, keep=timedelta(days=runtime.settings.event_retention_days))


def forget(session: Session, *, keep: timedelta) -> int:
    """Delete the oldest deliveries and events that are older than `keep`; returns how many rows.

    Deliveries go first, so that none outlives its event. The last placed event stays: places are counted on from it.
    Primary keys; one row is read of each table when nothing is old.
    """
    before = clock_of(session).now() - keep
    gone = 0
    for table in (WebhookDelivery, Event):
        last = _last_old(session, table, before)
        if last is None:
            continue
        condition = [table.id <= last]
        if table is Event:
            condition.append(Event.position < select(func.max(Event.position)).scalar_subquery())
        removed = session.execute(
            delete(table).where(*condition).execution_options(synchronize_session=False)
        )
        gone += removed.rowcount  # type: ignore[attr-defined]
    return gone


def _last_old(session: Session, table: type[Event | WebhookDelivery], before: datetime) -> int | None:
    """The id up to which rows are old, at most a batch of them; None when the oldest is young enough."""
    oldest = select(table.id, table.created_at).order_by(table.id)
    first = session.execute(oldest.limit(1)).first()
    if first is None or first.created_at >= before:
        return None
    old = [key for key, created_at in session.execute(oldest.limit(_BATCH)) if created_at < before]
    return max(old)
