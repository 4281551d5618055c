"""A Muster process as an operator runs it: `python -m actors.cli …` in its own folder and environment.

Its log lines are JSON; a test waits for an event by its stable id (`worker.started`, `slice.closed`) and
never for a time.
"""

from __future__ import annotations

import json
import sys
from threading import Lock
from typing import TYPE_CHECKING, Any

from tests.harness.child import Child
from tests.harness.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Process"]


class Process(Child):
    """One `muster …` process.

    Args:
        args: As on the command line: `"worker"`, `"api", "--port", "8000"`.
        env: `MUSTER_…` settings. None of the developer's own reach it.
        module: What is run instead of `muster` itself.
    """

    def __init__(
        self,
        *args: str,
        directory: Path,
        name: str | None = None,
        env: Mapping[str, str],
        module: str = "actors.cli",
    ) -> None:
        command = [sys.executable, "-m", module, *args]
        super().__init__(
            name or "-".join(args[:2]), command, directory=directory, env={"MUSTER_LOG_FORMAT": "json", **env}
        )
        self._lock = Lock()
        self._read = 0
        self._events: list[dict[str, Any]] = []

    def events(self, event: str | None = None, **fields: object) -> list[dict[str, Any]]:
        """The log lines so far, oldest first: those of `event` whose fields have these values, or all.

        Every line is read and parsed once. What is not a JSON object (a traceback of the interpreter) is
        passed over.
        """
        with self._lock:
            self._parse()
            found = list(self._events)
        wanted = fields if event is None else {"event": event, **fields}
        return [line for line in found if wanted.items() <= {key: line.get(key) for key in wanted}.items()]

    def _parse(self) -> None:
        if not self.err.exists():
            return
        with self.err.open("rb") as log:
            log.seek(self._read)
            for line in log:
                if not line.endswith(b"\n"):
                    break  # still being written
                self._read += len(line)
                if line.startswith(b"{"):
                    self._events.append(json.loads(line))

    def wait_for_log(
        self, event: str, *, count: int = 1, deadline: float = 10.0, **fields: object
    ) -> dict[str, Any]:
        """Wait for the `count`-th line of `event` with these fields, and give it back.

        Raises:
            RuntimeError: the process ended without it.
            TimeoutError: it runs on without it. Both messages hold the end of its log.
        """

        def nth() -> dict[str, Any] | None:
            ended = not self.alive  # asked first: what it wrote before it ended counts
            found = self.events(event, **fields)
            if len(found) >= count:
                return found[count - 1]
            if ended:
                raise RuntimeError(
                    f"{self.name} ended without logging {event} ({len(found)} of {count})\n{self.tail()}"
                )
            return None

        try:
            found = wait_until(nth, f"{self.name} logs {event} {fields or ''}", deadline=deadline)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.tail()}") from None
        assert found is not None
        return found

    def output(self) -> str:
        """What it wrote to standard output so far."""
        return self.out.read_text()

    def wait_for_output(self, text: str, *, deadline: float = 10.0) -> None:
        """Wait until a whole line with `text` stands on standard output.

        Raises:
            TimeoutError: it does not come.
        """
        wait_until(
            lambda: any(
                text in line for line in self.output().splitlines(keepends=True) if line.endswith("\n")
            ),
            f"{self.name} writes {text}",
            deadline=deadline,
        )
