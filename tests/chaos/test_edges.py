"""kill -9 at every named point (`engine.kernel.triggers.POINTS`) of a real worker or scheduler.

The worker that dies has one thread and is alone until then, so that the point decides who is in doubt: nobody, or the
one wave that was on the wire.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from engine.kernel.triggers import POINTS
from tests.chaos.house import LEASE, QUICK, WAVE
from tests.chaos.scene import Scene
from tests.harness.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.chaos.house import House

pytestmark = pytest.mark.chaos

#: Two pages of a plan at least.
SIZE = 600 if QUICK else 1_200
#: Which time it is reached, where that is not the second: once a job, or while the first wave is on the wire.
NTH = {"plan.done": 1, "report.before_commit": 1, "report.committed": 1}
#: Reached only while a wave takes longer than outcomes are kept together.
FLUSHES = ("settle.before_commit", "settle.committed")
#: Where a wave was given to the channel and its outcomes are not committed.
AMBIGUOUS = {"wave.before_claim_commit", "wave.sent", "slice.before_close_commit", *FLUSHES}


@pytest.mark.parametrize(
    "point", [point for point in POINTS if not point.startswith(("recover.", "schedule."))]
)
def test_worker_dies_at(point: str, house: House, tmp_path: Path) -> None:
    latency = 0.06 if point in FLUSHES else 0.0
    with Scene(house, tmp_path, size=SIZE, latency=latency, workers=1) as scene:
        healthy = scene.worker()
        doomed = house.stack.start_worker(
            MUSTER_TRIGGER=f"{point}=kill@{NTH.get(point, 2)}", MUSTER_WORKER_THREADS="1"
        )
        healthy.pause()  # nothing is on its way, so it holds nothing
        scene.begin()
        assert doomed.wait(60) == -signal.SIGKILL
        mark = scene.mark()
        healthy.resume()
        recovery = scene.recovery(mark)
        scene.judge(f"kill -9 at {point}", duplicated=WAVE if point in AMBIGUOUS else 0, recovery=recovery)


@pytest.mark.parametrize("point", [point for point in POINTS if point.startswith("recover.")])
def test_scheduler_dies_at(point: str, house: House, tmp_path: Path) -> None:
    """While it takes back what a killed worker held."""
    with Scene(house, tmp_path, size=SIZE, latency=0.0, workers=1) as scene:
        healthy = scene.worker()
        doomed = house.stack.start_worker(MUSTER_TRIGGER="wave.sent=kill@2", MUSTER_WORKER_THREADS="1")
        healthy.pause()
        house.man(workers=2, schedulers=0)
        scene.begin()
        assert doomed.wait(60) == -signal.SIGKILL
        since = scene.mark()
        wait_until(
            lambda: scene.stack.database.clock.now() > since.at + LEASE, "its lease is over", deadline=30
        )
        scheduler = house.stack.begin_scheduler(MUSTER_TRIGGER=f"{point}=kill")
        assert scheduler.wait(60) == -signal.SIGKILL
        house.man(workers=1)
        mark = scene.mark()
        healthy.resume()
        recovery = scene.recovery(mark)
        scene.judge(f"kill -9 at {point}", duplicated=WAVE, recovery=recovery)
