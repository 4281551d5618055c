"""Waking the embedded Muster that runs beside a command, which only shares its database.

Its broker is inside its process, where no other can reach it; its sweeper looks at the database every couple of
seconds. So what a wake-up would have said is written where the sweeper looks, as work that nobody has touched for
long. If nothing runs, the next process to start finds it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import update
from sqlalchemy.exc import DBAPIError

from engine.commands import Execute
from engine.wakeups import WakeupError
from state.change import clock_of
from state.tables import Job, Slice
from state.transitions import SliceState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

    from engine.commands import Command
    from state.database import Database

__all__ = ["Neighbour"]

#: Longer than any lease, which is how long the sweeper lets work be silent.
_LONG_AGO = timedelta(days=2)


class Neighbour:
    """Wake-ups (engine.wakeups.Wakeups) by way of the sweeper."""

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
