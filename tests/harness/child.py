"""An operating system process of a test's own.

Promises: it cannot outlive the test run, however that ends; what it writes is in `<name>.out` and
`<name>.err` and is printed when the test fails; every wait has a deadline. Signals go to the process and all
its descendants, unless `alone` is said, so that "killed" means what it means for a machine that loses power.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.harness.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

__all__ = ["ROOT", "Child", "Server", "clean_environment", "is_running"]

ROOT = Path(__file__).resolve().parents[2]
_TETHER = Path(__file__).with_name("tether.py")

#: The kernel's death signal follows the *thread* that started the child; this one lives as long as the test
#: run, so that a short-lived thread of a fault injector may start servers as well.
_spawner = ThreadPoolExecutor(1, thread_name_prefix="spawner")


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """What children inherit: no `MUSTER_…` of the developer's, and the checkout on the import path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MUSTER_")}
    return kept | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"} | dict(extra or {})


def _parents() -> dict[int, int]:
    """Process id → parent's id, of every process there is."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # "1234 (name that may hold anything) S 1 …"
            parents[int(entry.parent.name)] = int(entry.read_text().rpartition(")")[2].split()[1])
    return parents


def is_running(pid: int) -> bool:
    """Whether the process exists and is not dead already, waiting for its parent to notice."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


class Child:
    """A command that is started, signalled, waited for and closed; it may be started again after it ended."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        directory: Path,
        env: Mapping[str, str] | None = None,
        user: str = "",
        death_signal: int = signal.SIGKILL,
    ) -> None:
        self.name = name
        self.command = list(command)
        self.directory = directory
        self.env = dict(env or {})
        self.out = directory / f"{name}.out"
        self.err = directory / f"{name}.err"
        self._tether = [
            sys.executable,
            "-I",
            "-S",
            str(_TETHER),
            str(int(death_signal)),
            str(os.getpid()),
            user,
        ]
        self._popen: subprocess.Popen[bytes] | None = None
        self._orphans: list[int] = []

    def start(self) -> Self:
        """Start it. Output is appended to what an earlier start wrote.

        Raises:
            RuntimeError: it is running.
        """
        if self.alive:
            raise RuntimeError(f"{self.name} is running")
        with self.out.open("ab") as out, self.err.open("ab") as err:
            self._popen = _spawner.submit(
                subprocess.Popen,
                self._tether + self.command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=self.directory,
                env=clean_environment(self.env),
                start_new_session=True,
            ).result()
        return self

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The latest start's process.

        Raises:
            RuntimeError: it was never started.
        """
        if self._popen is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._popen

    @property
    def pid(self) -> int:
        """Of the latest start."""
        return self.process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs (a paused one does)."""
        return self._popen is not None and self._popen.poll() is None

    @property
    def returncode(self) -> int | None:
        """Exit code of the latest start, -N for signal N, None while it runs."""
        return self.process.poll()

    def descendants(self) -> list[int]:
        """Ids of its children, their children …, nearest first; not its own."""
        parents, found = _parents(), [self.pid]
        for known in found:
            found += [pid for pid, parent in parents.items() if parent == known]
        return found[1:]

    def signal(self, number: int, *, alone: bool = False) -> None:
        """Send a signal to it and its descendants (`alone`: to it only). Who is gone is passed over."""
        if not self.alive:
            return
        for pid in [self.pid, *([] if alone else self.descendants())]:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def pause(self) -> None:
        """SIGSTOP: it holds its sockets and answers nobody."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT after `pause`."""
        self.signal(signal.SIGCONT)

    def kill(self, *, alone: bool = False) -> None:
        """SIGKILL, and wait until everybody it was sent to is gone."""
        self.signal(signal.SIGSTOP, alone=True)  # so that it forks nobody behind our back
        others = self.descendants() if self.alive else []
        self.signal(signal.SIGKILL, alone=alone)
        self.process.wait(10)
        if alone:
            self._orphans += others
        else:
            wait_until(lambda: not any(map(is_running, others)), f"all of {self.name} is gone")

    def terminate(self) -> None:
        """SIGTERM to it alone, as a supervisor does; `wait` says how it took it."""
        self.signal(signal.SIGTERM, alone=True)

    def wait(self, deadline: float = 10.0) -> int:
        """The exit code, once it ended.

        Raises:
            TimeoutError: it still runs after `deadline` seconds; the message holds the end of its log.
        """
        try:
            return self.process.wait(deadline)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{self.name} still runs after {deadline:g} s\n{self.tail()}") from None

    def rss(self) -> int:
        """Bytes of memory it and its descendants hold (shared pages count for each of them). Linux only."""
        total = 0
        for pid in [self.pid, *self.descendants()]:
            with suppress(OSError):
                pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
                total += pages * os.sysconf("SC_PAGE_SIZE")
        return total

    def tail(self, lines: int = 40) -> str:
        """The end of what it wrote, for a person."""
        parts = [
            f"--- {self.name}: {' '.join(self.command)} (exit code {self._popen and self._popen.poll()})"
        ]
        for path in (self.out, self.err):
            if path.exists() and path.stat().st_size:
                parts += [f"--- {path.name}", *path.read_text(errors="replace").splitlines()[-lines:]]
        return "\n".join(parts)

    def close(self) -> None:
        """End it and everything it started, at once. Safe to call twice, and when it was never started."""
        if self._popen is None:
            return
        self.kill()
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)  # whom it left behind
        for pid in filter(is_running, self._orphans):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._orphans.clear()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            print(self.tail())  # noqa: T201 - pytest shows it with the failure
        self.close()


class Server(Child):
    """A child that listens on a port of 127.0.0.1 and keeps it over restarts."""

    START_DEADLINE = 30.0
    """Seconds."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        directory: Path,
        port: int,
        user: str = "",
        death_signal: int = signal.SIGKILL,
    ) -> None:
        super().__init__(name, command, directory=directory, user=user, death_signal=death_signal)
        self.port = port

    def is_ready(self) -> bool:
        """Whether it serves: here, whether it takes a connection."""
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def start(self) -> Self:
        """Start it and wait until it serves.

        Raises:
            RuntimeError: it ended instead; the message holds the end of its log.
            TimeoutError: it does not serve in time; it was ended.
        """
        super().start()
        try:
            wait_until(
                self._is_ready_or_dead, f"{self.name} serves port {self.port}", deadline=self.START_DEADLINE
            )
        except BaseException:
            self.close()
            raise
        return self

    def _is_ready_or_dead(self) -> bool:
        if not self.alive:
            raise RuntimeError(f"{self.name} ended while starting\n{self.tail()}")
        return self.is_ready()

    def stop(self, deadline: float = 30.0) -> None:
        """SIGTERM, and wait until it is gone."""
        self.terminate()
        self.wait(deadline)

    def restart(self) -> Self:
        """Stop it in an orderly way, and start it again on the same port."""
        self.stop()
        return self.start()
