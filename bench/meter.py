"""What a run costs: memory, sampled while it lasts, and processor time, from the kernel's books.

Processor time is the figure that other work on the same machine disturbs least.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from tests.harness.child import Child
    from tests.harness.redis_server import RedisServer

__all__ = ["Memory", "cpu_seconds"]

#: Seconds between two looks.
_EVERY = 0.25
_MIB = 1024 * 1024


def cpu_seconds(*trees: Child) -> float:
    """Processor time of processes and their descendants so far, those that ended included."""
    ticks = 0
    for tree in trees:
        for pid in [tree.pid, *tree.descendants()]:
            with suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                ticks += sum(map(int, fields[11:15]))  # utime, stime, and the same of children that ended
    return ticks / os.sysconf("SC_CLK_TCK")


@dataclass
class Memory:
    """Samples the resident memory of processes and Redis's own count every 250 ms; a context manager."""

    processes: Sequence[Child]
    redis: RedisServer
    samples: list[tuple[float, list[float], float]] = field(default_factory=list)
    """Seconds since the start, MiB of each process, MiB of Redis."""

    def __enter__(self) -> Self:
        self._ended = Event()
        self._thread = Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def _sample(self) -> None:
        started = time.monotonic()
        with self.redis.client() as client:
            while True:
                used = client.info("memory")["used_memory"]
                resident = [process.rss() / _MIB for process in self.processes]
                self.samples.append((time.monotonic() - started, resident, used / _MIB))
                if self._ended.wait(_EVERY):
                    return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def peak_worker(self) -> float:
        """MiB: the most that any one process held at any time."""
        return max(max(resident) for _, resident, _ in self.samples)

    @property
    def peak_redis(self) -> float:
        """MiB: the most that Redis used at any time."""
        return max(used for _, _, used in self.samples)
