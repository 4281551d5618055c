"""Whether an installation is well, one check a thing: for `muster doctor` and the console's page of operations.

Nothing is written, and no provider is asked.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from config.version import version
from engine.kernel.chores import late_chores, list_chores
from engine.kernel.heartbeat import absences, running_processes, running_versions
from state.database import DatabaseClock
from state.tables import ProcessKind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy.orm import Session

    from config.settings import Settings
    from state.database import Database

__all__ = ["Check", "checks_of_installation", "disk_check"]

#: Free space below which a disk is worth a look, and below which it is wrong: bytes.
_LITTLE, _NONE = 1 << 30, 100 << 20
#: How far this machine's clock may be from the database's. Tokens are taken with a leeway of a minute.
_AMISS, _WRONG = timedelta(seconds=5), timedelta(seconds=60)

_WITHOUT = {
    ProcessKind.WORKER: "nothing is delivered without one: start `muster worker`, or `muster dev`",
    ProcessKind.SCHEDULER: "nothing is retried or recovered without one: start `muster scheduler`, or `muster dev`",
}


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    ok: bool | None
    """None: not wrong, and yet to be looked at."""
    found: str
    remedy: str | None = None


def checks_of_installation(session: Session, database: Database, settings: Settings) -> list[Check]:
    """Processes, their versions, the scheduler's chores, this machine's clock and disk. Seven statements."""
    return [
        *_processes(session, settings),
        *_versions(session),
        *_chores(session),
        *_clock(database),
        disk_check(settings),
    ]


def _processes(session: Session, settings: Settings) -> Iterator[Check]:
    """That nothing runs is wrong in production; the embedded form may be meant to rest."""
    missing, running = absences(session), running_processes(session)
    for kind, remedy in _WITHOUT.items():
        absent = missing.get(kind)
        ok = True if absent is None else None if settings.is_embedded else False
        found = absent or f"{running[kind]} running"
        yield Check(f"{kind}s", ok=ok, found=found, remedy=remedy if absent else None)


def _versions(session: Session) -> Iterator[Check]:
    found = running_versions(session)
    if not found:
        return
    ours = version()
    shown = ", ".join(f"{count} of {one or 'an unknown version'}" for one, count in found.items())
    if set(found) == {ours}:
        yield Check("versions", ok=True, found=f"all {ours}")
        return
    yield Check(
        "versions",
        ok=None,
        found=f"{shown}; this is {ours}",
        remedy="restart those of the older version (docs/operations.md, Stopping and deploying)",
    )


def _chores(session: Session) -> Iterator[Check]:
    """Whether the scheduler's chores succeed; nothing where it was never at work, which `_processes` says."""
    late, known = late_chores(session), list_chores(session)
    if not known:
        return
    found = ", ".join(f"{one.name} failed {one.failures} times in a row ({one.error})" for one in late)
    remedy = "the scheduler's log says why: chore.failed" if late else None
    yield Check("chores", ok=not late, found=found or f"{len(known)} succeed", remedy=remedy)


def _clock(database: Database) -> Iterator[Check]:
    """This machine's clock beside the database's, which leases and due times go by."""
    if not isinstance(database.clock, DatabaseClock):
        return
    ahead = datetime.now(UTC) - database.clock.now()
    off = abs(ahead)
    if off <= _AMISS:
        yield Check("clock", ok=True, found="this machine's agrees with the database's")
        return
    yield Check(
        "clock",
        ok=None if off <= _WRONG else False,
        found=f"this machine's is {off.total_seconds():.0f} s {'ahead of' if ahead > timedelta() else 'behind'} "
        "the database's",
        remedy="tokens and signatures expire by this machine's clock: set it by NTP",
    )


def disk_check(settings: Settings) -> Check:
    """The space that is left for the data folder: the embedded database, files of channels, the outbox."""
    folder = settings.data_dir.absolute()
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    return _space(nearest)


def _space(folder: Path) -> Check:
    try:
        usage = shutil.disk_usage(folder)
    except OSError as error:
        return Check("disk", ok=None, found=f"the space at {folder} is not known: {error.strerror}")
    found = f"{_in_words(usage.free)} of {_in_words(usage.total)} free"
    if usage.free >= _LITTLE:
        return Check("disk", ok=True, found=found)
    return Check(
        "disk",
        ok=None if usage.free >= _NONE else False,
        found=found,
        remedy="make room, or set MUSTER_DATA_DIR to a folder of another disk",
    )


def _in_words(count: int) -> str:
    """Bytes as people write them: `512 MiB`, `4.5 GiB`."""
    gib = count / (1 << 30)
    return f"{gib:.1f} GiB" if gib >= 1 else f"{count >> 20} MiB"
