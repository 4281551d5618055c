"""Heartbeats: every process writes into the database that it lives, so that it is known why nothing moves.

Each running part (API, worker, scheduler) has a row of its own and renews `seen_at` every `EVERY`, as long as its own
threads do their work. Nothing is decided by it: leases and the sweeper recover work whether or not anybody beats. A
database that is away leaves the row as it was; the next beat renews it.

Whether a kind of process is missing is answered here alone (`absence`), for `muster doctor`, the API and the
metrics.
"""

from __future__ import annotations

import os
import socket
import time
from datetime import timedelta
from threading import Event, Thread
from typing import TYPE_CHECKING
from uuid import uuid4

import structlog
from sqlalchemy import delete, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import aliased

from config.version import version
from state.change import clock_of
from state.sets import insert_into
from state.tables import Process, ProcessKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from sqlalchemy.orm import Session

    from engine.kernel.runtime import Runtime

__all__ = [
    "EVERY",
    "SILENT_AFTER",
    "Heartbeat",
    "absence",
    "absences",
    "forget_processes",
    "last_seen",
    "running_processes",
    "running_versions",
]

log = structlog.get_logger(__name__)

#: Between two heartbeats of a process.
EVERY = timedelta(seconds=10)
#: A kind of process of which none was seen for so long is missing. Longer than an outage or a restart takes.
SILENT_AFTER = timedelta(minutes=2)
#: A process that missed two heartbeats does not count as running.
_RUNNING = 3 * EVERY
#: How long the row of a process that ended is kept; the last of its kind is kept for good.
_KEPT = timedelta(days=1)
#: Without these nothing is delivered, and nothing is retried or recovered.
_NEEDED = (ProcessKind.WORKER, ProcessKind.SCHEDULER)


class Heartbeat:
    """Says for one part of this process that it lives. `start` and `stop` are safe to call twice.

    Args:
        lives: Whether the part's own threads do their work; while it says no, there is no heartbeat.
    """

    def __init__(self, runtime: Runtime, kind: ProcessKind, lives: Callable[[], bool] = lambda: True) -> None:
        self._runtime = runtime
        self._kind = kind
        self._lives = lives
        self._id = uuid4()
        self._started_at: datetime | None = None
        self._stopped = Event()
        self._thread: Thread | None = None

    def start(self) -> None:
        """Beat now and every `EVERY`, on a thread."""
        if self._thread is None:
            self._stopped.clear()
            self._thread = Thread(target=self._loop, name=f"{self._kind}-heartbeat", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Beat no more; the row tells until when it lived."""
        if self._thread is not None:
            self._stopped.set()
            self._thread.join()
            self._thread = None

    def beat(self) -> None:
        """Write one heartbeat. One statement, by primary key.

        Raises:
            sqlalchemy.exc.DBAPIError: the database is away.
        """
        asked = time.monotonic()
        with self._runtime.database.begin(autocommit=True) as session:
            now = clock_of(session).now()
            self._started_at = self._started_at or now
            row = {
                "id": self._id,
                "kind": self._kind.value,
                "host": socket.gethostname()[:255],
                "pid": os.getpid(),
                "version": version()[:32],
                "started_at": self._started_at,
                "seen_at": now,
            }
            session.execute(
                insert_into(session, Process)
                .values(row)
                .on_conflict_do_update(index_elements=["id"], set_={"seen_at": now})
            )
        self._runtime.database.note_answer(asked)

    def _loop(self) -> None:
        while True:
            try:
                if self._lives():
                    self.beat()
                else:
                    log.error("heartbeat.withheld", kind=self._kind, reason="its threads do not work")
            except DBAPIError as error:
                log.warning("heartbeat.failed", kind=self._kind, reason=str(error.orig))
            except Exception:
                log.exception("heartbeat.failed", kind=self._kind)
            if self._stopped.wait(EVERY.total_seconds()):
                return


def last_seen(session: Session) -> Mapping[ProcessKind, datetime | None]:
    """When a process of each kind was last seen; None: never. Index (kind, seen_at), one entry a kind."""
    columns = [
        select(func.max(Process.seen_at))
        .where(Process.kind == kind.value)
        .scalar_subquery()
        .label(kind.value)
        for kind in ProcessKind
    ]
    row = session.execute(select(*columns)).one()
    return dict(zip(ProcessKind, row, strict=True))


def running_processes(session: Session) -> Mapping[ProcessKind, int]:
    """How many processes of each kind were seen within the last half minute."""
    since = clock_of(session).now() - _RUNNING
    counts = dict(
        session.execute(
            select(Process.kind, func.count()).where(Process.seen_at > since).group_by(Process.kind)
        ).all()
    )
    return {kind: int(counts.get(kind.value, 0)) for kind in ProcessKind}


def running_versions(session: Session) -> dict[str, int]:
    """How many processes of each version were seen within the last half minute, the most frequent first."""
    since = clock_of(session).now() - _RUNNING
    counted = func.count()
    rows = session.execute(
        select(Process.version, counted)
        .where(Process.seen_at > since)
        .group_by(Process.version)
        .order_by(counted.desc(), Process.version)
    )
    return {found: int(count) for found, count in rows}


def absence(session: Session, kind: ProcessKind) -> str | None:
    """`no worker has been seen for 2 minutes`, or None if one has been seen lately."""
    return _absence(kind, last_seen(session)[kind], clock_of(session).now())


def absences(session: Session) -> dict[ProcessKind, str]:
    """The kinds of process that delivery needs and that are missing → the sentence. One statement."""
    seen, now = last_seen(session), clock_of(session).now()
    found = ((kind, _absence(kind, seen[kind], now)) for kind in _NEEDED)
    return {kind: sentence for kind, sentence in found if sentence is not None}


def _absence(kind: ProcessKind, seen_at: datetime | None, now: datetime) -> str | None:
    if seen_at is None:
        return f"no {kind} has ever been seen"
    silent = now - seen_at
    if silent < SILENT_AFTER:
        return None
    return f"no {kind} has been seen for {_in_words(silent)}"


def _in_words(span: timedelta) -> str:
    """A span of minutes or more, rounded down: `2 minutes`, `3 hours`, `5 days`."""
    minutes = int(span.total_seconds() // 60)
    for size, unit in ((1440, "day"), (60, "hour")):
        if minutes >= 2 * size:
            return f"{minutes // size} {unit}s"
    return f"{minutes} minutes"


def forget_processes(session: Session) -> int:
    """Remove rows of processes that ended long ago, but for the last seen of each kind; returns how many."""
    later = aliased(Process)
    newer = select(later.id).where(later.kind == Process.kind, later.seen_at > Process.seen_at).exists()
    gone = session.execute(
        delete(Process)
        .where(Process.seen_at < clock_of(session).now() - _KEPT, newer)
        .execution_options(synchronize_session=False)
    )
    return int(gone.rowcount)  # type: ignore[attr-defined]
