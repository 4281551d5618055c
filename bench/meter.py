"""What a run costs: memory, sampled while it lasts, processor time, from the kernel's books, and bytes written.

Processor time is the figure that other work on the same machine disturbs least.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Self

import psycopg

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from tests.harness.child import Child
    from tests.harness.postgres import Postgres
    from tests.harness.redis_server import RedisServer

__all__ = ["Footprint", "Memory", "Run", "cpu_seconds"]

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


@dataclass(frozen=True, kw_only=True)
class Run:
    """One delivery, by whatever program."""

    size: int
    """Recipients."""
    seconds: float
    program_cpu: float
    """Processor seconds of the program's own processes."""
    database_cpu: float
    """Processor seconds of PostgreSQL."""
    wal: int
    """Bytes that PostgreSQL wrote to its log."""
    table: int
    """Bytes of the recipients' table after the run, indexes included."""
    broker_cpu: float = 0.0
    """Processor seconds of Redis, where there is one."""

    @property
    def rate(self) -> float:
        """Recipients a second."""
        return self.size / self.seconds

    @property
    def cpu(self) -> float:
        """Microseconds of processor time a recipient: the program's and PostgreSQL's."""
        return (self.program_cpu + self.database_cpu) / self.size * 1e6

    @property
    def cpu_with_broker(self) -> float:
        """The same with Redis."""
        return self.cpu + self.broker_cpu / self.size * 1e6


class Footprint:
    """What PostgreSQL spends from now on, and what a table weighs in the end."""

    def __init__(self, postgres: Postgres, url: str, table: str) -> None:
        """Begin to count.

        Args:
            url: Of the database, for libpq.
            table: Its name, with its schema.
        """
        self._postgres = postgres
        self._url = url
        self._table = table
        self._lsn = str(self._ask("SELECT pg_current_wal_insert_lsn()"))
        self._cpu = cpu_seconds(postgres)

    def taken(self) -> tuple[float, int, int]:
        """Processor seconds and bytes of WAL since the beginning, and the table's bytes with its indexes."""
        cpu = cpu_seconds(self._postgres) - self._cpu
        wal = self._ask("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), %s::pg_lsn)", self._lsn)
        return cpu, int(wal), int(self._ask("SELECT pg_total_relation_size(%s::regclass)", self._table))

    def _ask(self, question: str, *values: object) -> Any:
        with psycopg.connect(self._url, autocommit=True) as connection:
            row = connection.execute(question.encode(), values or None).fetchone()
        assert row is not None
        return row[0]


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
