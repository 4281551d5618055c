"""Which message a conversion is put down to: the latest one before it, within its campaign's window.

A campaign that is named is believed; one that sends no messages (a portal) has the enrolment in their place.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select

from engine.engagement.email import medium_of
from engine.engagement.engagement import Medium
from engine.engagement.messages import standings
from engine.inbound.reported_addresses import channels_of
from state.sets import among
from state.tables import Campaign, Recipient

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.engagement.messages import Pair

__all__ = ["Credit", "credit"]

#: Campaigns that are looked at for a conversion that names none, the latest activated first.
_CAMPAIGNS = 200


class Credit(NamedTuple):
    """What a conversion is put down to."""

    campaign_id: UUID
    touchpoint_id: UUID | None
    channel: Medium
    since: datetime
    """When the message was sent."""


def credit(
    session: Session, org_id: UUID, wanted: Sequence[tuple[UUID, UUID | None, datetime]]
) -> list[Credit | str]:
    """For each conversion (entity, campaign if it is named, instant) what it is put down to, or why to nothing.

    At most seven statements whatever the number.
    """
    if not wanted:
        return []
    windows = _windows(
        session, org_id, {campaign_id for _, campaign_id, _ in wanted if campaign_id is not None}
    )
    searched = {entity_id for entity_id, campaign_id, _ in wanted if campaign_id is None}
    people = {(campaign_id, entity_id) for entity_id, campaign_id, _ in wanted if campaign_id in windows}
    people |= _recipients(session, org_id, searched, windows)
    known = standings(session, org_id, people)
    by_entity: dict[UUID, list[Pair]] = defaultdict(list)
    for pair in known:
        by_entity[pair[1]].append(pair)
    channel_of = channels_of(session, org_id)

    def one(pair: Pair, at: datetime, *, named: bool) -> Credit | None:
        standing = known[pair]
        sent = standing.before(at)
        if sent is not None:
            channel = channel_of(sent.channel_id)
            medium = medium_of(channel.kind) if channel is not None else Medium.OTHER
            found = Credit(pair[0], sent.touchpoint_id, medium, sent.sent_at)
        elif named and not standing.messages:
            found = Credit(pair[0], None, Medium.PORTAL, standing.enrolled_at)
        else:
            return None
        return found if timedelta(0) <= at - found.since <= windows[pair[0]] else None

    results: list[Credit | str] = []
    for entity_id, campaign_id, at in wanted:
        named = campaign_id is not None
        pairs = [pair for pair in by_entity[entity_id] if not named or pair[0] == campaign_id]
        if named and not pairs:
            results.append("there is no such recipient")
            continue
        found = [credited for pair in pairs if (credited := one(pair, at, named=named)) is not None]
        latest = max(found, key=lambda credited: (credited.since, credited.campaign_id), default=None)
        results.append(latest or "no message within the attribution window before it")
    return results


def _windows(session: Session, org_id: UUID, named: set[UUID]) -> dict[UUID, timedelta]:
    """Windows of the campaigns that are named, and of those that were activated last."""
    columns = select(Campaign.id, Campaign.attribution_days).where(Campaign.org_id == org_id)
    recent = columns.where(Campaign.activated_at.is_not(None)).order_by(
        Campaign.activated_at.desc(), Campaign.id
    )
    found = [*session.execute(recent.limit(_CAMPAIGNS))]
    if named:
        found += session.execute(columns.where(among(session, Campaign.id, named)))
    return {campaign_id: timedelta(days=days) for campaign_id, days in found}


def _recipients(
    session: Session, org_id: UUID, entity_ids: set[UUID], campaign_ids: Iterable[UUID]
) -> set[Pair]:
    """Which of these entities are recipients of which campaigns: one probe of the primary key for each."""
    if not entity_ids:
        return set()
    found = session.execute(
        select(Recipient.campaign_id, Recipient.entity_id).where(
            Recipient.org_id == org_id,
            among(session, Recipient.campaign_id, campaign_ids),
            among(session, Recipient.entity_id, entity_ids),
        )
    )
    return {(campaign_id, entity_id) for campaign_id, entity_id in found}
