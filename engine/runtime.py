"""What a process needs to do anything: settings, the database, and a way to wake others.

`Runtime.transaction()` commits first and wakes afterwards. If the process dies in between, or the broker is away, the
sweeper finds what was left asleep; a wake-up is never sent for what was rolled back.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

from engine.outbound import Guard, lend_guard
from engine.wakeups import WakeupError, Wakeups, connect
from state.database import Database

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy.orm import Session

    from config.settings import Settings
    from engine.commands import Command

__all__ = ["Runtime", "wake"]

log = structlog.get_logger(__name__)

_COMMANDS = "commands"


def wake(session: Session, *commands: Command) -> None:
    """Send `commands` once the transaction of `session` is committed."""
    session.info.setdefault(_COMMANDS, []).extend(commands)


class Runtime:
    """Settings, database and wake-ups of one process."""

    def __init__(
        self, settings: Settings, *, database: Database | None = None, wakeups: Wakeups | None = None
    ) -> None:
        self.settings = settings
        self.database = database or Database(settings.database_url, pool_size=settings.database_pool)
        self.wakeups = wakeups or connect(settings.broker)
        self.guard = Guard(settings.channel_networks)

    @contextmanager
    def transaction(self, *, piecemeal: bool = False) -> Iterator[Session]:
        """A writing transaction; what `wake` was given goes out after its commit. Addresses that are written in it are
        looked at (engine.outbound).

        Args:
            piecemeal: As `Database.begin`.

        Raises:
            sqlalchemy.exc.OperationalError: the database is unreachable. Nothing was written or sent.
        """
        with self.database.begin(piecemeal=piecemeal) as session:
            lend_guard(session, self.guard)
            yield session
        self.send(session.info.pop(_COMMANDS, []))

    def send(self, commands: Sequence[Command]) -> None:
        """Send wake-ups; a broker that is away is logged and left to the sweeper."""
        if not commands:
            return
        try:
            self.wakeups.send(commands)
        except WakeupError as error:
            log.warning("wakeup.failed", count=len(commands), reason=str(error))

    def close(self) -> None:
        """Give back every connection. Safe to call twice."""
        self.wakeups.close()
        self.database.close()
