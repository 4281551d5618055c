"""What PostgreSQL and SQLite do differently, behind one interface.

`dialect_of(session)` gives the one that a session speaks. Statements that are more than a piece apart are kept side by
side where they are used, by the dialect's name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection

from state.dialects.dialect import Dialect, SlowStatement
from state.dialects.postgresql import PostgreSQL
from state.dialects.sqlite import SQLite

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = ["Dialect", "PostgreSQL", "SQLite", "SlowStatement", "dialect_named", "dialect_of"]

_DIALECTS: dict[str, Dialect] = {dialect.name: dialect for dialect in (PostgreSQL(), SQLite())}


def dialect_named(name: str) -> Dialect:
    """The dialect of SQLAlchemy's name for it.

    Raises:
        KeyError: Muster does not run on that database.
    """
    return _DIALECTS[name]


def dialect_of(session: Session | Connection) -> Dialect:
    """The dialect that a session or connection speaks."""
    bind = session if isinstance(session, Connection) else session.get_bind()
    return _DIALECTS[bind.dialect.name]
