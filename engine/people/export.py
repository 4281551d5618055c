"""Everything that is known of a person, as JSON, written a piece at a time.

It is read by slices of campaigns, each in a transaction of its own, so that a person of ten thousand campaigns costs no
more memory than one of five hundred. Rows are given as they are kept, by the names of their columns; events and kept
answers say the same again and are left out.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import inspect, select

from engine.audience.entities import entity_json, get_entity
from engine.people.person import person_of
from state.sets import among
from state.tables import (
    Attempt,
    Campaign,
    Contact,
    Engagement,
    Entity,
    Execution,
    Recipient,
    Suppression,
    TopicOptOut,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from sqlalchemy.orm import Session

    from state.database import Database

__all__ = ["export_person"]

_CAMPAIGNS = 500
#: Beside the recipient, what one campaign keeps of somebody: name → table and order.
_OF_CAMPAIGN: dict[str, tuple[Any, Any]] = {
    "executions": (Execution, Execution.ended_at),
    "earlier_attempts": (Attempt, Attempt.answered_at),
    "engagement": (Engagement, Engagement.id),
}
_LEFT_OUT = frozenset({"org_id", "entity_id", "campaign_id"})


def export_person(database: Database, org_id: UUID, schema: str, entity_id: UUID) -> Iterator[bytes]:
    """The pieces of one JSON object: `entity`, `suppressions`, `contacts`, `campaigns`.

    Raises (before the first piece):
        NotFound: there is no such entity.
    """
    with database.read() as session:
        head = _head(session, org_id, get_entity(session, org_id, schema, entity_id))
    return _pieces(database, org_id, entity_id, head)


def _pieces(database: Database, org_id: UUID, entity_id: UUID, head: dict[str, Any]) -> Iterator[bytes]:
    yield _json(head)[:-1] + b',"campaigns":['
    after, separator = None, b""
    while True:
        with database.read() as session:
            wanted = select(Campaign).where(Campaign.org_id == org_id).order_by(Campaign.id).limit(_CAMPAIGNS)
            if after is not None:
                wanted = wanted.where(Campaign.id > after)
            campaigns = {one.id: one for one in session.scalars(wanted)}
            pieces = list(_campaigns(session, org_id, entity_id, campaigns))
        for piece in pieces:
            yield separator + _json(piece)
            separator = b","
        if len(campaigns) < _CAMPAIGNS:
            yield b"]}"
            return
        after = max(campaigns)


def _head(session: Session, org_id: UUID, entity: Entity) -> dict[str, Any]:
    addresses = person_of(session, entity).addresses
    keys = {(one.medium.value, one.address) for one in addresses}
    barred = session.scalars(
        select(Suppression).where(
            Suppression.org_id == org_id,
            among(session, Suppression.address, {one.address for one in addresses}),
        )
    )
    refused = session.scalars(
        select(TopicOptOut).where(
            TopicOptOut.org_id == org_id,
            among(session, TopicOptOut.address, {one.address for one in addresses}),
        )
    )
    contacts = session.scalars(
        select(Contact)
        .where(Contact.org_id == org_id, Contact.entity_id == entity.id)
        .order_by(Contact.sent_at)
    )
    return {
        "entity": entity_json(entity),
        "suppressions": [
            _row(one, kept=("campaign_id",)) for one in barred if (one.medium, one.address) in keys
        ],
        "topic_opt_outs": [_row(one) for one in refused if (one.medium, one.address) in keys],
        "contacts": [_row(one, kept=("campaign_id",)) for one in contacts],
    }


def _campaigns(
    session: Session, org_id: UUID, entity_id: UUID, campaigns: dict[UUID, Campaign]
) -> Iterator[dict[str, Any]]:
    """Of some campaigns those that have the person, with all that they keep. Four statements, by key."""

    def rows(table: Any, *order: Any) -> Iterator[Any]:
        wanted = select(table).where(
            table.org_id == org_id, table.entity_id == entity_id, among(session, table.campaign_id, campaigns)
        )
        return iter(session.scalars(wanted.order_by(table.campaign_id, *order)))

    found: dict[UUID, dict[str, Any]] = {}
    for recipient in rows(Recipient):
        campaign = campaigns[recipient.campaign_id]
        found[campaign.id] = {"campaign": {"id": str(campaign.id), "name": campaign.name}, **_row(recipient)}
    if not found:
        return
    for name, (table, order) in _OF_CAMPAIGN.items():
        for row in rows(table, order):
            if row.campaign_id in found:
                found[row.campaign_id].setdefault(name, []).append(_row(row))
    yield from found.values()


def _row(row: Any, kept: tuple[str, ...] = ()) -> dict[str, Any]:
    """A row without what is absent."""
    columns = [column.key for column in inspect(type(row)).columns if column.key not in _LEFT_OUT - set(kept)]
    values = {name: getattr(row, name) for name in columns}
    return {name: value for name, value in values.items() if value is not None}


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain).encode()


def _plain(value: Any) -> str:
    """Instants and ids."""
    return str(value.isoformat() if hasattr(value, "isoformat") else value)
