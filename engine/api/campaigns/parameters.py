"""What many routes of the dialect share."""

from __future__ import annotations

from uuid import UUID

from state.errors import NotFound

__all__ = ["campaign_id_of", "row_id_of"]


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
