"""Redis wiped, restarted, killed, stalled: it holds nothing but wake-ups, so nobody is lost and nobody gets twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.chaos.scene import Scene, last

if TYPE_CHECKING:
    from pathlib import Path

    from tests.chaos.house import House

pytestmark = pytest.mark.chaos

STALL = 8.0
"""Seconds: longer than any time-out of ours towards Redis, and than dramatiq's idea of a dead worker."""


def test_flushall(house: House, tmp_path: Path) -> None:
    """Also right after the activation, when the one wake-up there is may be lost."""
    with Scene(house, tmp_path) as scene:
        scene.begin()
        for share in (0.0, 0.3, 0.6):
            scene.wait_for_share(share)
            house.stack.redis.flushall()
            mark = scene.mark()
        recovery = scene.recovery(mark)
        scene.check_counters()
        scene.judge("FLUSHALL", injected=3, recovery=recovery)


def test_restart(house: House, tmp_path: Path) -> None:
    """In an orderly way, and killed with up to a second of its file unwritten."""
    with Scene(house, tmp_path) as scene:
        scene.begin()
        scene.wait_for_share(0.2)
        house.stack.redis.restart()
        scene.wait_for_share(0.5)
        house.stack.redis.kill()
        house.stack.redis.start()
        recovery = scene.recovery(scene.mark())
        scene.judge("restart of Redis", injected=2, recovery=recovery)


def test_stall(house: House, tmp_path: Path) -> None:
    """It holds its sockets and answers nobody."""
    with Scene(house, tmp_path) as scene:
        scene.begin()
        scene.wait_for_share(0.2)
        house.stack.redis.pause()
        last(STALL)
        house.stack.redis.resume()
        recovery = scene.recovery(scene.mark())
        scene.judge(f"SIGSTOP of Redis for {STALL:g} s", recovery=recovery)
