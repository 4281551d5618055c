"""Wake-ups for an embedded server, sent by another process that shares its database only.

The broker of an embedded server is inside its process, out of reach for others; its sweeper reads the database every
couple of seconds. So the work of a command is marked as silent for long, which the sweeper takes for lost and wakes.
If no server runs, the next one that starts finds the marks.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import update
from sqlalchemy.exc import DBAPIError

from engine.kernel.commands import Execute
from engine.kernel.wakeups import WakeupError
from state.change import clock_of
from state.tables import Job, Slice
from state.transitions import SliceState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

    from engine.kernel.commands import Command
    from state.database import Database

__all__ = ["EmbeddedWakeups"]

#: Longer than any lease, which is how long the sweeper lets work be silent.
_LONG_AGO = timedelta(days=2)


class EmbeddedWakeups:
    """Implements engine.kernel.wakeups.Wakeups by way of the sweeper."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def send(self, commands: Sequence[Command]) -> None:
        """Mark the work of all `commands` as silent.

        Raises:
            WakeupError: the database went away. The sweeper finds the work anyhow, a lease's time later.
        """
        try:
            with self._database.begin() as session:
                for command in commands:
                    _mark(session, command)
        except DBAPIError as error:
            raise WakeupError(f"the database did not take {len(commands)} wake-ups: {error.orig}") from error

    def close(self) -> None:
        """Nothing to give back; the database is its owner's."""


def _mark(session: Session, command: Command) -> None:
    fields = command.model_dump()
    if isinstance(command, Execute):
        # Outside the window, from where it is woken next.
        session.execute(
            update(Slice)
            .where(
                Slice.org_id == command.org_id,
                Slice.job_id == command.job_id,
                Slice.number == command.number,
                Slice.state == SliceState.READY,
            )
            .values(woken_at=None)
        )
    elif "job_id" in fields:
        session.execute(
            update(Job)
            .where(Job.org_id == fields["org_id"], Job.id == fields["job_id"])
            .values(touched_at=clock_of(session).now() - _LONG_AGO)
        )
