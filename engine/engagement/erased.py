"""Who was erased: what is reported of them afterwards is counted, and its texts are not kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from state.sets import among
from state.tables import Erasure

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from sqlalchemy.orm import Session

__all__ = ["erased_among"]


def erased_among(session: Session, org_id: UUID, entity_ids: Iterable[UUID]) -> set[UUID]:
    """Of some entities those that were erased. One statement by the unique key."""
    wanted = among(session, Erasure.entity_id, entity_ids)
    return set(session.scalars(select(Erasure.entity_id).where(Erasure.org_id == org_id, wanted)))
