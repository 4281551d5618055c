"""What the checks of an installation find: versions, clock and disk; each by its bound."""

from __future__ import annotations

import shutil
from collections import namedtuple
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import update

from config.settings import Settings
from config.version import version
from engine.insight import checks
from engine.insight.operations import slow_statements
from engine.kernel.heartbeat import Heartbeat
from engine.kernel.runtime import Runtime
from engine.kernel.wakeups import MemoryWakeups
from state.database import Database, DatabaseClock
from state.tables import Process, ProcessKind
from tests.harness.postgres import Postgres

if TYPE_CHECKING:
    from pathlib import Path

Usage = namedtuple("Usage", "total used free")  # noqa: PYI024 - as shutil has it
GIB = 1 << 30


@pytest.fixture
def runtime(database: Database, tmp_path: Path) -> Runtime:
    settings = Settings(_env_file=None, broker_url="redis://127.0.0.1", data_dir=tmp_path / "data")
    return Runtime(settings, database=database, wakeups=MemoryWakeups())


def look(runtime: Runtime) -> dict[str, checks.Check]:
    with runtime.database.read() as session:
        found = checks.checks_of_installation(session, runtime.database, runtime.settings)
    assert all(one.ok is True or one.remedy for one in found)
    return {one.name: one for one in found}


def test_processes_of_several_versions_are_to_be_looked_at(runtime: Runtime) -> None:
    assert "versions" not in look(runtime)
    assert (look(runtime)["workers"].ok, look(runtime)["schedulers"].ok) == (False, False)
    for kind in (ProcessKind.WORKER, ProcessKind.WORKER, ProcessKind.SCHEDULER):
        Heartbeat(runtime, kind).beat()
    found = look(runtime)["versions"]
    assert (found.ok, found.found) == (True, f"all {version()}")
    with runtime.database.begin() as session:
        session.execute(update(Process).where(Process.kind == "scheduler").values(version="0.0.9"))
    found = look(runtime)["versions"]
    assert (found.ok, found.found) == (None, f"2 of {version()}, 1 of 0.0.9; this is {version()}")
    with runtime.database.begin() as session:
        session.execute(update(Process).values(version=""))
    assert look(runtime)["versions"].found == f"3 of an unknown version; this is {version()}"


@pytest.mark.parametrize(
    ("free", "ok", "found"),
    [(5 * GIB, True, "5.0 GiB"), (GIB - 1, None, "1023 MiB"), (50 << 20, False, "50 MiB")],
)
def test_the_disk(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, free: int, ok: bool | None, found: str
) -> None:
    asked: list[Any] = []

    def usage(folder: Any) -> Usage:
        asked.append(folder)
        return Usage(20 * GIB, 0, free)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    disk = look(runtime)["disk"]
    assert (disk.ok, disk.found) == (ok, f"{found} of 20.0 GiB free")
    assert asked == [runtime.settings.data_dir.parent], "the folder is made when it is needed"


@pytest.mark.parametrize(
    ("seconds", "ok", "words"),
    [(0, True, "agrees"), (8, None, "8 s ahead of"), (-9, None, "9 s behind"), (7200, False, "7200 s ahead")],
)
def test_the_clock(
    postgresql_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    seconds: int,
    ok: bool | None,
    words: str,
) -> None:
    class Moved(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + timedelta(seconds=seconds)

    database = Database(postgresql_url)
    assert isinstance(database.clock, DatabaseClock)
    settings = Settings(_env_file=None, broker_url="redis://127.0.0.1", data_dir=tmp_path)
    runtime = Runtime(settings, database=database, wakeups=MemoryWakeups())
    assert abs(database.clock.now() - datetime.now(UTC)) < timedelta(seconds=2)
    monkeypatch.setattr(checks, "datetime", Moved)
    found = look(runtime)["clock"]
    assert found.ok is ok
    assert words in found.found
    database.close()


def test_a_database_without_a_record_of_statements_says_so(database: Database) -> None:
    with database.read() as session:
        assert slow_statements(session) is None


@pytest.mark.slow
def test_postgresql_says_which_statements_took_longest() -> None:
    """Over a server that has the extension: before it is created there is no record, and then without values."""
    with Postgres(settings={"shared_preload_libraries": "pg_stat_statements"}) as server:
        database = Database(server.url)
        with database.read() as session:
            assert slow_statements(session) is None
        with server.connect() as connection:
            connection.execute("CREATE EXTENSION pg_stat_statements")
            connection.execute("SELECT count(*) FROM generate_series(1, 200000) WHERE 'secret' <> ''")
        with database.read() as session:
            found = slow_statements(session)
        database.close()
    assert found is not None
    slowest = next(one for one in found if "generate_series" in one.text)
    assert (slowest.calls, "secret" in slowest.text) == (1, False)
    assert 0 < slowest.mean_seconds == slowest.total_seconds
