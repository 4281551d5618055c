"""Schedulers that die, and everything at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.chaos.house import THREADS, WAVE
from tests.chaos.scene import Scene

if TYPE_CHECKING:
    from pathlib import Path

    from tests.chaos.house import House

pytestmark = pytest.mark.chaos


def test_one_of_two_schedulers_is_killed_with_a_worker(house: House, tmp_path: Path) -> None:
    """The other one takes back what the worker held, as soon as if nothing had happened to the first."""
    with Scene(house, tmp_path, schedulers=2) as scene:
        scene.begin()
        scene.wait_for_share(0.3)
        house.schedulers()[0].kill()
        scene.worker().kill()
        recovery = scene.recovery(scene.mark())
        scene.judge("kill -9 of a scheduler and a worker", duplicated=WAVE * THREADS, recovery=recovery)


def test_power_fails(house: House, tmp_path: Path) -> None:
    """Every process and every server of ours dies; then all are started again."""
    with Scene(house, tmp_path) as scene:
        scene.begin()
        scene.wait_for_share(0.4)
        workers = house.workers()
        for process in (*workers, *house.schedulers(), house.stack.redis, house.stack.postgres):
            process.kill()
        house.stack.postgres.start()
        house.stack.redis.start()
        house.man()
        recovery = scene.recovery(scene.mark())
        scene.judge("kill -9 of everything", duplicated=len(workers) * WAVE * THREADS, recovery=recovery)
