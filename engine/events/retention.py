"""How long events and their deliveries are kept: the sweeper forgets what is older."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select

from state.change import clock_of
from state.tables import Event, WebhookDelivery

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from sqlalchemy.orm import Session

__all__ = ["forget"]

#: Rows that are forgotten in one round: oldest first, so each round costs what it deletes.
_BATCH = 2000


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
