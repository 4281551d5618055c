"""Give every committed event its place in the stream, and hand it to the webhooks that ask for it.

Promises:
- Every committed event is placed once, in an order that every later reader sees alike: what is visible at place N has
  everything before N visible. One distributor acts at a time; any number may try.
- An event reaches exactly the webhooks that are active and subscribed when it is distributed, in the same transaction.
- Killed anywhere, the next distribution does it: what is not placed is still to be distributed.

Cost: five statements for up to `BATCH` events, whatever the number of subscriptions.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import BigInteger, func, insert, select, update

from engine.events.names import wants
from engine.kernel.commands import Notify
from engine.kernel.runtime import wake
from state.change import clock_of
from state.locks import Lock, lock
from state.sets import among, insert_into, rows
from state.tables import Event, Webhook, WebhookDelivery, WebhookLane
from state.types import NIL_UUID

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from sqlalchemy.orm import Session
    from sqlalchemy.types import TypeEngine

    from engine.kernel.runtime import Runtime

__all__ = ["BATCH", "distribute", "queue_deliveries"]

log = structlog.get_logger(__name__)

#: Events of one transaction.
BATCH = 1000


def distribute(runtime: Runtime) -> int:
    """Distribute everything that is committed; returns how many events.

    Costs one small read when there is nothing.

    Raises:
        sqlalchemy.exc.OperationalError: the database is away; nothing is lost by it.
    """
    total = 0
    while True:
        with runtime.database.read() as session:
            waiting = session.execute(select(Event.id).where(Event.position.is_(None)).limit(1)).first()
        if waiting is None:
            return total
        with runtime.transaction() as session:
            placed = _distribute(session)
        total += placed
        if placed < BATCH:
            return total


def _distribute(session: Session) -> int:
    lock(session, Lock.EVENT_POSITIONS)
    fresh = session.execute(
        select(Event.id, Event.org_id, Event.name, Event.campaign_id)
        .where(Event.position.is_(None))
        .order_by(Event.id)
        .limit(BATCH)
    ).all()
    if not fresh:
        return 0
    _place(session, [event.id for event in fresh])
    wanted = _wanted(session, fresh)
    if wanted:
        queue_deliveries(session, wanted)
    return len(fresh)


def _place(session: Session, ids: Sequence[int]) -> None:
    """Give events the next places, in this order. The last placed event is never forgotten, so places only grow."""
    last = session.execute(select(func.max(Event.position))).scalar_one() or 0
    types: dict[str, type[TypeEngine[Any]]] = {"id": BigInteger, "position": BigInteger}
    given = rows(session, types, [(key, last + n) for n, key in enumerate(ids, start=1)])
    session.execute(
        update(Event)
        .where(Event.id == given.c.id)
        .values(position=given.c.position)
        .execution_options(synchronize_session=False)
    )


def _wanted(session: Session, events: Sequence[Any]) -> list[dict[str, Any]]:
    """The deliveries that these events ask for, in the order of the events."""
    found = session.execute(
        select(Webhook.id, Webhook.org_id, Webhook.events).where(
            Webhook.active.is_(True), among(session, Webhook.org_id, {event.org_id for event in events})
        )
    )
    webhooks: dict[UUID, list[Any]] = defaultdict(list)
    for webhook in found:
        webhooks[webhook.org_id].append(webhook)
    return [
        {
            "org_id": event.org_id,
            "webhook_id": webhook.id,
            "campaign_id": event.campaign_id or NIL_UUID,
            "event_id": event.id,
            "event": event.name,
        }
        for event in events
        for webhook in webhooks[event.org_id]
        if wants(webhook.events, event.name)
    ]


def queue_deliveries(session: Session, deliveries: Sequence[dict[str, Any]]) -> None:
    """Write deliveries at the end of their lanes, and wake the lanes that wait for nothing else."""
    now = clock_of(session).now()
    usual = {"state": "pending", "attempts": 0, "created_at": now}
    session.execute(insert(WebhookDelivery), [usual | delivery for delivery in deliveries])
    _open_lanes(session, {(one["webhook_id"], one["campaign_id"], one["org_id"]) for one in deliveries})


def _open_lanes(session: Session, lanes: Iterable[tuple[UUID, UUID, UUID]]) -> None:
    """A lane that had nothing is due now; one that waits for a retry goes on waiting.

    In one order, so that two writers never wait in a circle. A worker that closes a lane holds its row while it looks
    for what is pending (engine.events.webhook_queues), so a delivery is seen by one side or the other.
    """
    now = clock_of(session).now()
    given = insert_into(session, WebhookLane).values(
        [
            {
                "webhook_id": webhook_id,
                "campaign_id": campaign_id,
                "org_id": org_id,
                "due_at": now,
                "lease_epoch": 0,
            }
            for webhook_id, campaign_id, org_id in sorted(lanes)
        ]
    )
    opened = session.execute(
        given.on_conflict_do_update(
            index_elements=["webhook_id", "campaign_id"],
            set_={"due_at": func.coalesce(WebhookLane.due_at, given.excluded.due_at)},
        )
        .returning(WebhookLane.org_id, WebhookLane.webhook_id, WebhookLane.campaign_id, WebhookLane.due_at)
        .execution_options(synchronize_session=False)
    ).all()
    wake(
        session,
        *(
            Notify(org_id=org_id, webhook_id=webhook_id, campaign_id=campaign_id)
            for org_id, webhook_id, campaign_id, due_at in opened
            if due_at is None or due_at <= now
        ),
    )
