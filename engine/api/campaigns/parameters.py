"""What many routes of the dialect share."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from engine.organizations import key_name
from state.errors import NotFound

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from engine.api.call import Call

__all__ = ["author", "campaign_id_of", "row_id_of"]


def campaign_id_of(text: str) -> UUID:
    """The id in a path. Ids are opaque here: one that is none of ours names nothing.

    Raises:
        NotFound: see above.
    """
    return row_id_of("campaign", text)


def row_id_of(kind: str, text: str) -> UUID:
    """The same for another kind of row."""
    try:
        return UUID(text)
    except ValueError:
        raise NotFound(kind, text[:64]) from None


def author(session: Session, call: Call) -> str | None:
    """Who asks, as others are told: the name of the key."""
    return key_name(session, call.org_id, call.principal.key_id)
