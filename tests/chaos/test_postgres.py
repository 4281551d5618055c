"""PostgreSQL restarted, killed, away for longer than a lease: what was committed holds, and workers that live wait for
it with their outcomes in hand, so nobody is lost and nobody gets twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.chaos.house import LEASE
from tests.chaos.scene import Scene, last

if TYPE_CHECKING:
    from pathlib import Path

    from tests.chaos.house import House

pytestmark = pytest.mark.chaos


def test_restart(house: House, tmp_path: Path) -> None:
    """Without a checkpoint, and killed with all its processes."""
    with Scene(house, tmp_path) as scene:
        scene.begin()
        scene.wait_for_share(0.2)
        house.stack.postgres.restart("immediate")
        scene.wait_for_share(0.5)
        house.stack.postgres.kill()
        house.stack.postgres.start()
        recovery = scene.recovery(scene.mark())
        scene.check_counters()
        scene.judge("restart of PostgreSQL", injected=2, recovery=recovery)


def test_away_for_longer_than_a_lease(house: House, tmp_path: Path) -> None:
    """The leases of workers that live must not be taken from them because nobody could renew them, however early
    a sweeper comes.
    """
    with Scene(house, tmp_path, schedulers=4) as scene:
        scene.begin()
        scene.wait_for_share(0.3)
        house.stack.postgres.stop(mode="immediate")
        last(2 * LEASE.total_seconds())
        house.stack.postgres.start()
        recovery = scene.recovery(scene.mark())
        scene.judge("PostgreSQL away for two leases", recovery=recovery)
