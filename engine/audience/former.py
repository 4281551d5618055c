"""People who were deleted, and who they are when they come back with the same external id.

Promises:
- One person by external id is one recipient of a campaign: who was deleted while campaigns had them, and is created
  again, has their id of before. A person who had the message is not written to again; one who had not had their turn
  keeps it.
- What is kept of a deleted person is their id beside a digest of schema and external id, nothing of their data.
- Two who bring somebody back at once agree on the id.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

from sqlalchemy import delete, exists, literal, select

from state.change import clock_of
from state.sets import among, insert_into
from state.tables import Campaign, Entity, FormerEntity, Recipient

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from sqlalchemy.orm import Session

__all__ = ["bring_back", "remember"]


def remember(session: Session, org_id: UUID, schema: str, entity_id: UUID, external_id: str) -> None:
    """Keep the id of an entity that was just deleted, if a campaign has it as a recipient. Primary keys."""
    campaigns = select(Campaign.id).where(Campaign.org_id == org_id)
    is_recipient = exists().where(Recipient.campaign_id.in_(campaigns), Recipient.entity_id == entity_id)
    if not session.execute(select(literal(value=True)).where(is_recipient)).first():
        return
    kept = {"entity_id": entity_id, "deleted_at": clock_of(session).now()}
    session.execute(
        insert_into(session, FormerEntity)
        .values(org_id=org_id, digest=_digest(schema, external_id), **kept)
        .on_conflict_do_update(index_elements=["org_id", "digest"], set_=kept)
    )


def bring_back(
    session: Session, org_id: UUID, schema: str, external_ids: Iterable[str | None]
) -> dict[str, UUID]:
    """Of external ids that are about to be written: those of deleted people → the id that each had. One statement
    where nobody was deleted.
    """
    ours = FormerEntity.org_id == org_id
    if not session.execute(select(FormerEntity.entity_id).where(ours).limit(1)).first():
        return {}
    digests = {_digest(schema, one): one for one in external_ids if one is not None}
    former = among(session, FormerEntity.digest, digests)
    # In one order, so that two who bring back the same people never wait in a ring.
    locked = select(FormerEntity.digest).where(ours, former).order_by(FormerEntity.digest).with_for_update()
    found = session.scalars(locked).all()
    if not found:
        return {}
    gone = (
        delete(FormerEntity)
        .where(ours, among(session, FormerEntity.digest, found))
        .returning(FormerEntity.digest, FormerEntity.entity_id)
        .execution_options(synchronize_session=False)
    )
    ids = {entity_id: digests[digest] for digest, entity_id in session.execute(gone)}
    taken = set(session.scalars(select(Entity.id).where(among(session, Entity.id, ids))))
    return {external_id: entity_id for entity_id, external_id in ids.items() if entity_id not in taken}


def _digest(schema: str, external_id: str) -> str:
    return blake2b(f"{schema}\0{external_id}".encode(), digest_size=16).hexdigest()
