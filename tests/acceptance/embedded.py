"""`muster dev`: API, worker and scheduler in one process over SQLite, killed and started again at will."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from state.database import Database
from tests.acceptance.client import Client
from tests.harness.ports import free_port
from tests.harness.process import Process
from tests.harness.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

__all__ = ["Dev"]

_KEY = "acceptance-of-muster-dev-by-one-process"


class Dev:
    """A context manager; the database outlives `kill` and `start`.

    Args:
        directory: For the log and the data.
        env: Settings: `MUSTER_LEASE="2"`.
    """

    def __init__(self, directory: Path, **env: str) -> None:
        self.port = free_port()
        data = directory / "data"
        self.process = Process(
            *("dev", "--port", str(self.port), "--data", str(data)),
            directory=directory,
            name="dev",
            env={"MUSTER_DEV_API_KEY": _KEY, **env},
        )
        self._url = f"sqlite:///{data}/muster.db"

    def __enter__(self) -> Self:
        self.start()
        self.database = Database(self._url, pool_size=2)
        self.client = Client(f"http://127.0.0.1:{self.port}", _KEY)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            print(self.process.tail())  # noqa: T201 - pytest shows it with the failure
        self.client.__exit__(None, None, None)
        self.database.close()
        self.process.close()

    def start(self) -> None:
        """Start it, and wait until it delivers and serves."""
        before = len(self.process.events("api.started"))
        self.process.start()
        wait_until(
            lambda: len(self.process.events("api.started")) > before or not self.process.alive,
            "it serves",
            deadline=60,
        )
        assert self.process.alive, self.process.tail()
