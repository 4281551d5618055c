"""Frequency caps: at most so many messages to one entity within a window of hours.

A message counts from the moment it is claimed, in the transaction that claims it, and is taken back when it was not
delivered; one in doubt counts. Two campaigns that claim the same entity at once take turns (a lock for each entity,
held until the claim is committed), so a cap holds across campaigns, channels and workers.

Contacts are written only where a cap applies: a cap counts what was sent since it was set.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, case, delete, func, select

from engine.limits.config import MAX_CAP_HOURS
from state.change import clock_of
from state.locks import Lock, lock_each
from state.sets import among, insert_into
from state.tables import Contact

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

    from engine.limits.effective import Cap, EffectiveLimits

__all__ = ["Hit", "count", "forget", "take_back"]


class Hit(NamedTuple):
    """Somebody is over a cap."""

    text: str
    delayed_until: datetime | None
    """When there is room again; None: the cap excludes."""


def count(
    session: Session, effective: EffectiveLimits, entity_ids: Sequence[UUID], at: datetime
) -> dict[UUID, Hit]:
    """Who has had as many messages as a cap allows; everybody else is counted with one more, at `at`.

    Primary key (org_id, entity_id, sent_at): as many rows as the widest window holds for a wave.
    """
    if not entity_ids:
        return {}
    lock_each(session, Lock.FREQUENCY_CAP, entity_ids)
    hits: dict[UUID, Hit] = {}
    oldest = at - timedelta(hours=max(cap.cap.hours for cap in effective.caps))
    columns: list[ColumnElement[Any]] = []
    for position, cap in enumerate(effective.caps):
        counts = _counts(effective, cap, at)
        columns.append(func.count(case((counts, 1))).label(f"n{position}"))
        columns.append(func.min(case((counts, Contact.sent_at))).label(f"first{position}"))
    found = session.execute(
        select(Contact.entity_id, *columns)
        .where(
            Contact.org_id == effective.org_id,
            among(session, Contact.entity_id, entity_ids),
            Contact.sent_at > oldest,
            ~and_(Contact.sent_at == at, Contact.campaign_id == effective.campaign_id),
        )
        .group_by(Contact.entity_id)
    )
    for row in found.mappings():
        for position, cap in enumerate(effective.caps):
            if row[f"n{position}"] >= cap.cap.messages:
                hit = _hit(cap, row[f"first{position}"])
                hits[row["entity_id"]] = max(hits.get(row["entity_id"], hit), hit, key=_severity)
    fresh = [
        {
            "org_id": effective.org_id,
            "entity_id": entity_id,
            "sent_at": at,
            "campaign_id": effective.campaign_id,
            "channel_id": effective.channel_id,
        }
        for entity_id in entity_ids
        if entity_id not in hits
    ]
    if fresh:
        session.execute(insert_into(session, Contact).on_conflict_do_nothing(), fresh)
    return hits


def _severity(hit: Hit) -> tuple[bool, float]:
    """Excluded by one cap is excluded; delayed by several, until the last has room."""
    return (hit.delayed_until is None, hit.delayed_until.timestamp() if hit.delayed_until else 0.0)


def _counts(effective: EffectiveLimits, cap: Cap, at: datetime) -> ColumnElement[bool]:
    """Which contacts a cap counts."""
    within = Contact.sent_at > at - timedelta(hours=cap.cap.hours)
    if cap.of == "campaign":
        return and_(within, Contact.campaign_id == effective.campaign_id)
    if cap.of == "channel":
        return and_(within, Contact.channel_id == effective.channel_id)
    return within


def _hit(cap: Cap, first: datetime) -> Hit:
    rule = cap.cap
    what = f"had {rule.messages} messages in {rule.hours} hours ({cap.of}'s cap)"
    return Hit(what, first + timedelta(hours=rule.hours) if rule.over == "delay" else None)


def take_back(session: Session, effective: EffectiveLimits, lost: Mapping[UUID, datetime]) -> None:
    """Forget contacts that came to nothing: entity id → when it was claimed. Primary key."""
    for at in set(lost.values()):
        entity_ids = [entity_id for entity_id, claimed_at in lost.items() if claimed_at == at]
        session.execute(
            delete(Contact)
            .where(
                Contact.org_id == effective.org_id,
                among(session, Contact.entity_id, entity_ids),
                Contact.sent_at == at,
                Contact.campaign_id == effective.campaign_id,
            )
            .execution_options(synchronize_session=False)
        )


def forget(session: Session) -> int:
    """Remove contacts that no cap counts any more; returns how many. Index on sent_at."""
    oldest = clock_of(session).now() - timedelta(hours=MAX_CAP_HOURS)
    gone = session.execute(
        delete(Contact).where(Contact.sent_at < oldest).execution_options(synchronize_session=False)
    )
    return int(gone.rowcount)  # type: ignore[attr-defined]
