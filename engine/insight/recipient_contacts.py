"""How recipients are known elsewhere: their external id, and the address that they are written to."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import exists, or_, select

from engine.filters.predicate import holds_text
from engine.kernel.media import address_finder
from state.sets import among
from state.tables import Entity, Recipient

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

__all__ = ["RecipientContact", "contacts_of", "is_known_by"]

#: Attributes that hold what people search for.
_SEARCHED = ("email", "phone")


class RecipientContact(NamedTuple):
    """Of an entity that is still there."""

    external_id: str | None
    address: str | None
    """The first that it has: an e-mail address, a phone number, a chat."""


def contacts_of(session: Session, org_id: UUID, entity_ids: Iterable[UUID]) -> dict[UUID, RecipientContact]:
    """Those of some recipients; who was deleted is not among them. One statement by primary key."""
    find = address_finder(None, None)
    rows = session.execute(
        select(Entity.id, Entity.external_id, Entity.attributes).where(
            Entity.org_id == org_id, among(session, Entity.id, entity_ids)
        )
    )
    return {row.id: RecipientContact(row.external_id, find(row.attributes)) for row in rows}


def is_known_by(session: Session, text: str) -> ColumnElement[bool]:
    """The condition on Recipient: title, external id, e-mail address or phone number hold the text, in any case."""
    entity = exists().where(
        Entity.id == Recipient.entity_id,
        Entity.org_id == Recipient.org_id,
        holds_text(
            session,
            text,
            Entity.external_id,
            *(Entity.attributes[name].as_string() for name in _SEARCHED),
        ),
    )
    return or_(holds_text(session, text, Recipient.title), entity)
