"""Leadership: of all processes that could do a duty, one does it at a time, for a term.

On PostgreSQL the holder of an advisory lock leads. The lock belongs to a transaction of its own on a connection of its
own, and the server ends that transaction when nothing was heard on it for a term
(`idle_in_transaction_session_timeout`). So:

- a leader that dies gives way at once: its connection ends, and with it the lock;
- a leader that hangs, or whose host vanished without a word, gives way after a term at most;
- a leader says between two chores that it is still there (`Term.renew`), and learns by it when it does not lead any
  more. What it was doing at that moment may meet what the next leader does, so a duty consists of compare-and-sets
  alone, which are harmless to repeat.

On SQLite there is one process, which leads.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from config.errors import MusterError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    from sqlalchemy.orm import Session

    from state.database import Database
    from state.locks import Lock

__all__ = ["LeadershipLost", "Term", "lead"]

#: The server's state for "nothing was heard in this transaction for too long".
_TERM_OVER = "25P03"
_TAKE = text(
    "SELECT set_config('idle_in_transaction_session_timeout', :milliseconds, true),"
    " pg_try_advisory_xact_lock(:duty, 0)"
)


class LeadershipLost(MusterError):
    """The term ended before it was renewed; another process may lead by now."""


class Term:
    """The time for which this process leads."""

    def __init__(self, database: Database, guard: Session | None) -> None:
        self._database = database
        self._guard = guard

    def renew(self) -> None:
        """Lead for another term from now on. One round trip on PostgreSQL.

        Raises:
            LeadershipLost: the term is over.
            sqlalchemy.exc.DBAPIError: the database is away.
        """
        if self._guard is None:
            return
        asked = time.monotonic()
        try:
            self._guard.execute(text("SELECT 1"))
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) == _TERM_OVER:
                raise LeadershipLost from error
            raise
        self._database.note_answer(asked)


@contextmanager
def lead(database: Database, duty: Lock, *, term: timedelta) -> Iterator[Term | None]:
    """Lead while the block lasts; None if another process does.

    Args:
        duty: What is done.
        term: How long the leader may be silent.

    Raises:
        sqlalchemy.exc.DBAPIError: the database is away.
    """
    if not database.dialect.has_many_writers:
        yield Term(database, None)
        return
    with database.begin() as guard:
        asked = time.monotonic()
        milliseconds = str(int(term.total_seconds() * 1000))
        _, leads = guard.execute(_TAKE, {"milliseconds": milliseconds, "duty": duty}).one()
        database.note_answer(asked)
        yield Term(database, guard) if leads else None
