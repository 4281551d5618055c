"""RabbitMQ as the broker, its connections cut and gone: the same wake-ups, the same promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.chaos.house import LEASE
from tests.chaos.scene import Scene, last

if TYPE_CHECKING:
    from pathlib import Path

    from tests.chaos.house import House

pytestmark = pytest.mark.chaos


def test_cut_and_gone(rabbitmq_house: House, tmp_path: Path) -> None:
    """Reset, ended in an orderly way, and refused for longer than a lease."""
    house = rabbitmq_house
    with Scene(house, tmp_path) as scene:
        scene.begin()
        scene.wait_for_share(0.15)
        house.proxy.reset()
        scene.wait_for_share(0.3)
        house.proxy.cut()
        scene.wait_for_share(0.45)
        house.proxy.refuse()
        last(2 * LEASE.total_seconds())
        house.proxy.forward()
        recovery = scene.recovery(scene.mark())
        scene.judge("connections to RabbitMQ cut", injected=3, recovery=recovery)
