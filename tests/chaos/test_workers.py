"""Workers that die, stop, or are told to: nobody is lost, and what is sent twice was on the wire."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from state.transitions import AutomationStatus
from tests.chaos.house import GRACE, LEASE, THREADS, WAVE
from tests.chaos.scene import Scene
from tests.harness.child import is_running
from tests.harness.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.chaos.house import House

pytestmark = pytest.mark.chaos

IN_FLIGHT = WAVE * THREADS
"""The most that one worker process has on the wire: a wave a thread."""


def test_workers_are_killed(house: House, tmp_path: Path) -> None:
    with Scene(house, tmp_path) as scene:
        scene.begin()
        for share in (0.2, 0.4, 0.6):
            scene.wait_for_share(share)
            scene.worker().kill()
            mark = scene.mark()
            house.stack.begin_worker()
        recovery = scene.recovery(mark)
        scene.check_counters()
        scene.judge("kill -9 of a worker", injected=3, duplicated=3 * IN_FLIGHT, recovery=recovery)


def test_doubt_is_held_where_a_duplicate_costs_trust(house: House, tmp_path: Path) -> None:
    with Scene(house, tmp_path, doubt_policy="hold") as scene:
        scene.begin()
        scene.wait_for_share(0.3)
        scene.worker().kill()
        recovery = scene.recovery(scene.mark())
        scene.judge("kill -9 of a worker, doubt is held", in_doubt=IN_FLIGHT, recovery=recovery)


def test_worker_is_told_to_end(house: House, tmp_path: Path) -> None:
    with Scene(house, tmp_path) as scene:
        scene.begin()
        scene.wait_for_share(0.3)
        worker = scene.worker()
        mark = scene.mark()
        worker.terminate()
        assert worker.wait(GRACE.total_seconds()) == 0
        assert worker.events("worker.stopped")
        recovery = scene.recovery(mark)
        scene.judge("SIGTERM of a worker", recovery=recovery)


def test_every_worker_is_replaced(house: House, tmp_path: Path) -> None:
    """A deployment: the old ones end while the new ones start."""
    with Scene(house, tmp_path) as scene:
        scene.begin()
        scene.wait_for_share(0.2)
        old = house.workers()
        for worker in old:
            worker.terminate()
        new = [house.stack.begin_worker() for _ in old]
        assert [worker.wait(GRACE.total_seconds()) for worker in old] == [0, 0]
        house.stack.wait_started(*new)
        recovery = scene.recovery(scene.mark())
        scene.judge("SIGTERM of every worker, new ones started", injected=2, recovery=recovery)


def test_zombie(house: House, tmp_path: Path) -> None:
    """A worker that is stopped for longer than its lease, and goes on as if nothing had been."""
    with Scene(house, tmp_path) as scene:
        scene.begin()
        scene.wait_for_share(0.3)
        worker = scene.worker()
        worker.pause()
        recovery = scene.recovery(scene.mark())
        assert recovery > LEASE.total_seconds() / 2, "its slices were taken before their leases ended"
        worker.resume()
        found = scene.judge("SIGSTOP of a worker, past its lease", duplicated=IN_FLIGHT, recovery=recovery)
        worker.wait_for_log("slice.lost")
        wait_until(lambda: scene.account().received == found.received, "the zombie sends nothing more")
        assert found.statuses == {AutomationStatus.SUCCESS: scene.size}


def test_supervised_worker_and_then_the_supervisor_are_killed(house: House, tmp_path: Path) -> None:
    """It starts another worker in place of the dead one; when it dies itself, its workers end in good order."""
    supervisor = house.stack.start("worker", "--processes", "2", name="supervisor")
    with Scene(house, tmp_path, workers=0) as scene:
        supervisor.wait_for_log("worker.started", count=2, deadline=30)
        scene.begin()
        scene.wait_for_share(0.3)
        mark = scene.mark()
        os.kill(supervisor.descendants()[0], signal.SIGKILL)
        recovery = scene.recovery(mark)
        supervisor.wait_for_log("worker.started", count=3, deadline=30)
        scene.judge("kill -9 of a supervised worker", duplicated=IN_FLIGHT, recovery=recovery)
    with Scene(house, tmp_path, workers=0) as scene:
        scene.begin()
        scene.wait_for_share(0.3)
        workers = supervisor.descendants()
        assert len(workers) == 2
        supervisor.kill(alone=True)
        wait_until(
            lambda: not any(map(is_running, workers)), "its workers ended", deadline=GRACE.total_seconds()
        )
        house.man()
        recovery = scene.recovery(scene.mark())
        scene.judge("kill -9 of a supervisor", recovery=recovery)
