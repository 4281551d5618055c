"""What a process needs to do anything: settings, the database, and a way to wake others.

`Runtime.transaction()` commits first and wakes afterwards. If the process dies in between, or the broker is away, the
sweeper finds what was left asleep; a wake-up is never sent for what was rolled back.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

import structlog

from engine.kernel import metrics
from engine.kernel.connect_wakeups import connect
from engine.kernel.erased_addresses import ErasedAddresses
from engine.kernel.keyring import open_keyring
from engine.kernel.outbound import Guard, lend_guard
from engine.kernel.pool_metrics import watch_pool
from engine.kernel.secrets import Secrets
from engine.kernel.wakeups import WakeupError, Wakeups
from state.database import Database

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy.orm import Session

    from config.settings import Settings
    from engine.kernel.commands import Command

__all__ = ["Runtime", "wake"]

log = structlog.get_logger(__name__)

_COMMANDS = "commands"
_NOT_SENT = metrics.WAKEUPS_NOT_SENT.counter()


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
        watch_pool(self.database)
        self.wakeups = wakeups or connect(settings.broker)
        self.guard = Guard(settings.channel_networks)
        ErasedAddresses(lambda: self.secrets).lend(self.database)

    @cached_property
    def secrets(self) -> Secrets:
        """What seals and opens with this process's keys.

        Raises:
            SecretsError: `MUSTER_SECRET_KEY` cannot be used.
        """
        return Secrets.of(self.settings)

    def open_keys(self) -> None:
        """Look whether this process was given the database's secret key; of a long-running one before it starts.

        Raises:
            SecretsError: it was not.
        """
        open_keyring(self.database, self.secrets)

    @contextmanager
    def transaction(self, *, autocommit: bool = False) -> Iterator[Session]:
        """A writing transaction; what `wake` was given goes out after its commit. Addresses that are written in it are
        looked at (engine.kernel.outbound).

        Args:
            autocommit: As `Database.begin`.

        Raises:
            sqlalchemy.exc.OperationalError: the database is unreachable. Nothing was written or sent.
        """
        with self.database.begin(autocommit=autocommit) as session:
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
            _NOT_SENT.inc(len(commands))
            log.warning("wakeup.failed", count=len(commands), reason=str(error))

    def close(self) -> None:
        """Give back every connection. Safe to call twice."""
        self.wakeups.close()
        self.database.close()
