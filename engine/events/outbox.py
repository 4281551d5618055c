"""The outbox: an event is written in the transaction that caused it, or not at all.

What happens to single recipients is written in batches of at most `BATCH`, one event for each kind, and only while a
webhook of the organization asks for it (`emits_recipient_events`): a worker decides that once a lease, and pays nothing
else.

An event is on its way as soon as its transaction is committed: the distributor is woken, if anybody subscribes at all.
Should the wake-up be lost, the sweeper distributes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import exists, select

from engine.events.names import wants
from engine.kernel.commands import Distribute
from engine.kernel.runtime import wake
from state.change import clock_of
from state.tables import Event, Webhook

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from sqlalchemy.orm import Session

__all__ = ["BATCH", "emits_recipient_events", "record", "record_audit", "record_recipients"]

#: Recipients in one event at most.
BATCH = 100

_WOKEN = "distribution_woken"


def record(
    session: Session,
    org_id: UUID,
    name: str,
    *,
    campaign_id: UUID | None = None,
    job_id: UUID | None = None,
    **data: Any,
) -> None:
    """Write an event. `name` is one of `engine.events.names.EVENTS`; `data` must be JSON."""
    session.add(_event(session, org_id, name, campaign_id, job_id, data))
    _wake_once(session, org_id)


def record_recipients(
    session: Session,
    org_id: UUID,
    name: str,
    recipients: Sequence[Mapping[str, Any]],
    *,
    campaign_id: UUID,
    job_id: UUID | None = None,
) -> None:
    """Write what happened to recipients (`{recipient_id, …}` each), `BATCH` to an event. Ask `emits_recipient_events`
    first.
    """
    for start in range(0, len(recipients), BATCH):
        batch = {"recipients": [dict(one) for one in recipients[start : start + BATCH]]}
        session.add(_event(session, org_id, name, campaign_id, job_id, batch))
    if recipients:
        _wake_once(session, org_id)


def record_audit(session: Session, org_id: UUID, **data: Any) -> None:
    """Write an `audit.recorded` event, if a webhook asks for it by name."""
    asked = select(Webhook.events).where(Webhook.org_id == org_id, Webhook.active.is_(True))
    with session.no_autoflush:
        if any(wants(patterns, "audit.recorded") for patterns in session.scalars(asked)):
            record(session, org_id, "audit.recorded", **data)


def emits_recipient_events(session: Session, org_id: UUID) -> bool:
    """Whether anybody asks for events about single recipients. Index ix_webhook_recipients."""
    asking = exists().where(Webhook.org_id == org_id, Webhook.active.is_(True), Webhook.recipients.is_(True))
    with session.no_autoflush:
        return bool(session.execute(select(asking)).scalar_one())


def _event(
    session: Session,
    org_id: UUID,
    name: str,
    campaign_id: UUID | None,
    job_id: UUID | None,
    data: dict[str, Any],
) -> Event:
    return Event(
        org_id=org_id,
        name=name,
        campaign_id=campaign_id,
        job_id=job_id,
        data=data,
        created_at=clock_of(session).now(),
    )


def _wake_once(session: Session, org_id: UUID) -> None:
    """Wake the distributor after the commit, once a transaction, if the organization has any webhook."""
    if session.info.get(_WOKEN):
        return
    listening = exists().where(Webhook.org_id == org_id, Webhook.active.is_(True))
    with session.no_autoflush:
        if session.execute(select(listening)).scalar_one():
            session.info[_WOKEN] = True
            wake(session, Distribute())
