"""What the sweeper's chores did last, as the leader writes it down, for people who ask why something is not done.

A row a chore, renewed every `EVERY` and whenever a chore fails or works again. Nothing is decided by it. Of an error
the row holds the kind alone: its text may be about one organization, and stands in the log.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import case, func, select

from state.change import clock_of
from state.sets import insert_into
from state.tables import ChoreRun

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy.orm import Session

    from engine.kernel.runtime import Runtime

__all__ = ["ChoreNotes", "ChoreOutcome", "late_chores", "list_chores", "note_chores"]

#: Between two notes of a chore that goes on as it did.
EVERY = timedelta(seconds=10)
#: A chore that did not succeed for so long is late.
LATE_AFTER = timedelta(minutes=2)
_LONGEST = 100


class ChoreOutcome(NamedTuple):
    """What became of a chore in one sweep."""

    name: str
    seconds: float
    error: Exception | None
    """What it failed with; None: it succeeded."""


class ChoreNotes:
    """Writes down what one process's sweeps did, as often as somebody would want to know."""

    def __init__(self) -> None:
        self._due: datetime | None = None
        self._failing: set[str] = set()

    def note(self, runtime: Runtime, outcomes: Sequence[ChoreOutcome]) -> None:
        """Write the outcomes of a sweep down, if it is time to, or a chore began or ceased to fail.

        Raises:
            sqlalchemy.exc.DBAPIError: the database is away.
        """
        now = runtime.database.clock.now()
        failing = {one.name for one in outcomes if one.error}
        if self._due is not None and now < self._due and failing == self._failing:
            return
        with runtime.transaction(autocommit=True) as session:
            note_chores(session, outcomes)
        self._due, self._failing = now + EVERY, failing


def note_chores(session: Session, outcomes: Sequence[ChoreOutcome]) -> None:
    """Write down what became of chores. One statement."""
    now = clock_of(session).now()
    rows = [
        {
            "name": one.name,
            "done_at": now,
            "succeeded_at": None if one.error else now,
            "seconds": one.seconds,
            "failures": int(one.error is not None),
            "error": "" if one.error is None else type(one.error).__name__[:_LONGEST],
        }
        for one in outcomes
    ]
    given = insert_into(session, ChoreRun).values(rows)
    failed = given.excluded.error != ""
    session.execute(
        given.on_conflict_do_update(
            index_elements=["name"],
            set_={
                "done_at": given.excluded.done_at,
                "succeeded_at": func.coalesce(given.excluded.succeeded_at, ChoreRun.succeeded_at),
                "seconds": given.excluded.seconds,
                "failures": case((failed, ChoreRun.failures + 1), else_=0),
                "error": given.excluded.error,
            },
        )
    )


def list_chores(session: Session) -> Sequence[ChoreRun]:
    """What is known of every chore, by name."""
    return session.scalars(select(ChoreRun).order_by(ChoreRun.name)).all()


def late_chores(session: Session) -> Sequence[ChoreRun]:
    """Those that did not succeed lately although a sweeper tries."""
    now = clock_of(session).now()
    return [
        one
        for one in list_chores(session)
        if one.error and (one.succeeded_at is None or one.succeeded_at < now - LATE_AFTER)
    ]
