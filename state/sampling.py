"""Everybody's place in a campaign's audience, from 0 to 100: what makes a sample deterministic and larger ones include
smaller ones.

The place is a hash of campaign and entity, so it needs no column and no draw: the same percentage means the same
people, for every question at any time; and a person who joins later has a place already. Another campaign orders people
anew. It is
computed where rows are selected: MD5 for its even spread, as PostgreSQL has it; SQLite is given `place` as a
function.
"""

from __future__ import annotations

from hashlib import md5
from typing import TYPE_CHECKING, Any

from state.dialects import dialect_of

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import InstrumentedAttribute, Session

__all__ = ["PLACES", "place", "place_of", "within"]

#: How many places there are: a ten-thousandth of a percent each.
PLACES = 1_000_000


def place(salt: str, key: str) -> int:
    """The place of `key` (a UUID as 32 hexadecimal digits) in the order that `salt` makes."""
    digest = md5(f"{salt}{key}".encode(), usedforsecurity=False).hexdigest()
    return int(digest[:8], 16) % PLACES


def place_of(session: Session, salt: UUID, key: InstrumentedAttribute[Any]) -> ColumnElement[int]:
    """The same for a column, to select or compare in a statement."""
    return dialect_of(session).place(salt, key, PLACES)


def within(
    session: Session, salt: UUID, key: InstrumentedAttribute[Any], reach: float
) -> ColumnElement[bool] | None:
    """The condition for being among the first `reach` percent; None when that is everybody, so that a statement
    without sampling has nothing of it.
    """
    return None if reach >= 100 else place_of(session, salt, key) < round(reach * PLACES / 100)  # noqa: PLR2004
