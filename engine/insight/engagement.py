"""The engagement log: what recipients did, written once, and its sums by hour.

Promises:
- A row is never changed or taken back; sums and rows are written in one transaction.
- Reports come from outside and come twice: an event id is taken once in an organization (`known_events`).
- Callers hold the rows of the recipients they write about, so of two at once the second sees the first, and
  `EngagementHour.recipients` counts nobody twice.

Statistics read the sums; a recipient's timeline reads the log.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import func, insert, select

from state.change import clock_of
from state.sets import among, insert_into
from state.tables import Engagement, EngagementHour

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

__all__ = ["Engaged", "Kind", "Medium", "known_events", "note", "sums"]


class Medium(StrEnum):
    """Where it happened."""

    EMAIL = "email"
    PORTAL = "portal"
    ENTITY_UI = "entity_ui"


class Kind(StrEnum):
    """What happened. A portal's statuses keep their own words."""

    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    SEEN = "seen"
    CLICKED = "clicked"
    DISMISSED = "dismissed"
    RESTORED = "restored"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"


class Engaged(NamedTuple):
    """One thing to write down."""

    entity_id: UUID
    channel: Medium
    kind: Kind
    at: datetime
    event_id: str | None = None
    data: dict[str, Any] | None = None


def known_events(session: Session, org_id: UUID, event_ids: Iterable[str]) -> set[str]:
    """Those of the event ids that were taken already. Unique key (org_id, event_id)."""
    wanted = list(event_ids)
    if not wanted:
        return set()
    statement = select(Engagement.event_id).where(
        Engagement.org_id == org_id, among(session, Engagement.event_id, wanted)
    )
    return {str(event_id) for event_id in session.scalars(statement)}


def note(session: Session, org_id: UUID, campaign_id: UUID, happened: Sequence[Engaged]) -> None:
    """Write what happened, and sum it. Three statements whatever the number; call it last in a transaction,
    because everybody who writes about the campaign in this hour meets at the sums.
    """
    if not happened:
        return
    earlier = _earlier(session, campaign_id, {one.entity_id for one in happened})
    events: Counter[tuple[str, str, datetime]] = Counter()
    firsts: Counter[tuple[str, str, datetime]] = Counter()
    for one in sorted(happened, key=lambda one: one.at):
        hour = one.at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        at = (one.channel.value, one.kind.value, hour)
        who = (one.entity_id, one.channel.value, one.kind.value)
        events[at] += 1
        firsts[at] += who not in earlier
        earlier.add(who)
    now = clock_of(session).now()
    session.execute(
        insert(Engagement),
        [
            {
                "org_id": org_id,
                "campaign_id": campaign_id,
                "entity_id": one.entity_id,
                "channel": one.channel.value,
                "kind": one.kind.value,
                "happened_at": one.at,
                "event_id": one.event_id,
                "data": one.data,
                "created_at": now,
            }
            for one in happened
        ],
    )
    given = insert_into(session, EngagementHour).values(
        [
            {
                "org_id": org_id,
                "campaign_id": campaign_id,
                "channel": channel,
                "kind": kind,
                "hour": hour,
                "events": events[channel, kind, hour],
                "recipients": firsts[channel, kind, hour],
            }
            for channel, kind, hour in sorted(events)  # one order, so that two writers never wait in a circle
        ]
    )
    session.execute(
        given.on_conflict_do_update(
            index_elements=["campaign_id", "channel", "kind", "hour"],
            set_={
                "events": EngagementHour.events + given.excluded.events,
                "recipients": EngagementHour.recipients + given.excluded.recipients,
            },
        ).execution_options(synchronize_session=False)
    )


def sums(session: Session, org_id: UUID, campaign_id: UUID, channel: Medium) -> dict[Kind, tuple[int, int]]:
    """Kind → (recipients, events) of a campaign on one channel. Reads as many rows as there were hours."""
    found = session.execute(
        select(EngagementHour.kind, func.sum(EngagementHour.recipients), func.sum(EngagementHour.events))
        .where(
            EngagementHour.campaign_id == campaign_id,
            EngagementHour.org_id == org_id,
            EngagementHour.channel == channel,
        )
        .group_by(EngagementHour.kind)
    )
    return {Kind(kind): (int(recipients), int(events)) for kind, recipients, events in found}


def _earlier(session: Session, campaign_id: UUID, entity_ids: set[UUID]) -> set[tuple[UUID, str, str]]:
    """What was noted of these recipients before. Index (campaign_id, entity_id, channel, kind)."""
    found = session.execute(
        select(Engagement.entity_id, Engagement.channel, Engagement.kind)
        .where(Engagement.campaign_id == campaign_id, among(session, Engagement.entity_id, entity_ids))
        .distinct()
    )
    return {(entity_id, channel, kind) for entity_id, channel, kind in found}
