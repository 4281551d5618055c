"""The ground every delivery is measured on: PostgreSQL and Redis servers of the benchmark's own, real worker processes.

PostgreSQL keeps every promise (fsync, synchronous_commit, full_page_writes are on) and has the few settings that any
production server is given; Muster and what it is compared with run on the same server, each in a fresh database that
is a copy of the same one.
"""

from __future__ import annotations

import base64
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from state.migrate import upgrade
from tests.harness.postgres import Postgres
from tests.harness.process import Process
from tests.harness.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

__all__ = ["POSTGRESQL", "WORKERS", "Ground"]

#: Worker processes of every delivery, and of what it is compared with.
WORKERS = 2
#: What is set beside PostgreSQL's defaults.
POSTGRESQL = {
    "shared_buffers": "1GB",
    "max_wal_size": "8GB",  # no checkpoint that only one of the two would meet
    "min_wal_size": "8GB",  # segments are used again, as on any server that has run for a while
    "checkpoint_timeout": "30min",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
}
_SEEDED = "seeded"


class Ground:
    """PostgreSQL, Redis, and as many Muster processes as are asked for. A context manager; all ends with it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.postgres = Postgres(settings=POSTGRESQL)
        self.redis = RedisServer(directory / "redis")
        self._parts = ExitStack()
        self._started = 0
        self._secret_key = base64.b64encode(os.urandom(32)).decode()

    def __enter__(self) -> Self:
        for server in (self.postgres, self.redis):
            self._parts.callback(server.close)
            server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._parts.close()

    def url(self, database: str) -> str:
        """Of one of the server's databases, for SQLAlchemy and MUSTER_DATABASE_URL."""
        return self.postgres.url.removesuffix("/postgres") + f"/{database}"

    def create_seed(self) -> str:
        """A fresh, migrated database to be filled and then copied; its URL. The one before is dropped."""
        self._administer(f"DROP DATABASE IF EXISTS {_SEEDED} WITH (FORCE)", f"CREATE DATABASE {_SEEDED}")
        upgrade(self.url(_SEEDED))
        return self.url(_SEEDED)

    def copy_seed(self, name: str) -> str:
        """A copy of the seeded database, on a server that has nothing else left to write; its URL."""
        self._administer(
            f"DROP DATABASE IF EXISTS {name} WITH (FORCE)",
            f"CREATE DATABASE {name} TEMPLATE {_SEEDED} STRATEGY file_copy",
            "CHECKPOINT",
        )
        return self.url(name)

    def drop(self, name: str) -> None:
        """Remove a copy."""
        self._administer(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _administer(self, *statements: str) -> None:
        with self.postgres.connect() as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def environment(self, database_url: str) -> dict[str, str]:
        """`MUSTER_…` for processes that work on this database."""
        return {
            "MUSTER_DATABASE_URL": database_url,
            "MUSTER_REDIS_URL": self.redis.url,
            "MUSTER_DATA_DIR": str(self.directory / "muster-data"),
            "MUSTER_CHANNEL_ALLOWED_NETWORKS": "127.0.0.0/8",
            "MUSTER_SECRET_KEY": self._secret_key,
        }

    def number(self) -> int:
        """A fresh one, for names of processes."""
        self._started += 1
        return self._started

    def start(self, kind: str, env: Mapping[str, str], *, module: str = "actors.cli") -> Process:
        """Start `muster worker` or `muster scheduler` (or `module`'s) and wait until it says that it runs."""
        name = f"{kind}-{self.number()}"
        process = Process(kind, directory=self.directory, name=name, env=env, module=module)
        self._parts.callback(process.close)
        process.start().wait_for_log(f"{kind}.started", deadline=60)
        return process
