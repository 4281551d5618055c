"""Processes say that they live, and it is said in words when none does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from config.settings import Settings
from engine.kernel.heartbeat import Heartbeat, absence, absences, forget_processes, running_processes
from engine.kernel.runtime import Runtime
from engine.kernel.wakeups import MemoryWakeups
from state.tables import Process, ProcessKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from state.database import Database
    from tests.conftest import ManualClock


@pytest.fixture
def runtime(database: Database) -> Iterator[Runtime]:
    runtime = Runtime(
        Settings(_env_file=None, broker_url="embedded://"), database=database, wakeups=MemoryWakeups()
    )
    yield runtime
    runtime.wakeups.close()


def test_a_silence_is_told_in_words_after_two_minutes(runtime: Runtime, clock: ManualClock) -> None:
    def told() -> str | None:
        with runtime.database.read() as session:
            return absence(session, ProcessKind.WORKER)

    assert told() == "no worker has ever been seen"
    heartbeat = Heartbeat(runtime, ProcessKind.WORKER)
    heartbeat.beat()
    assert told() is None
    clock.forward(seconds=119)
    assert told() is None
    clock.forward(seconds=1)
    assert told() == "no worker has been seen for 2 minutes"
    clock.forward(hours=3)
    assert told() == "no worker has been seen for 3 hours"
    clock.forward(days=5)
    assert told() == "no worker has been seen for 5 days"
    heartbeat.beat()
    assert told() is None


def test_each_process_has_one_row_and_counts_while_it_beats(runtime: Runtime, clock: ManualClock) -> None:
    workers = [Heartbeat(runtime, ProcessKind.WORKER) for _ in range(2)]
    for _ in range(3):
        for worker in workers:
            worker.beat()
        clock.forward(seconds=10)
    with runtime.database.read() as session:
        assert running_processes(session) == {"api": 0, "worker": 2, "scheduler": 0}
        assert absences(session) == {ProcessKind.SCHEDULER: "no scheduler has ever been seen"}
    clock.forward(seconds=25)
    workers[0].beat()
    with runtime.database.read() as session:
        assert running_processes(session)[ProcessKind.WORKER] == 1


def test_of_processes_that_ended_long_ago_the_last_of_each_kind_is_kept(
    runtime: Runtime, clock: ManualClock
) -> None:
    for kind in (ProcessKind.WORKER, ProcessKind.WORKER, ProcessKind.SCHEDULER):
        Heartbeat(runtime, kind).beat()
        clock.forward(seconds=10)
    clock.forward(days=2)
    with runtime.database.begin() as session:
        assert forget_processes(session) == 1
    with runtime.database.read() as session:
        assert session.execute(select(func.count()).select_from(Process)).scalar_one() == 2
        assert absences(session)[ProcessKind.WORKER] == "no worker has been seen for 2 days"
