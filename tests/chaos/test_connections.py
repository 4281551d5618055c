"""Connections to PostgreSQL that end in the middle of anything, also between a COMMIT and its reply."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.chaos.house import LEASE, SILENCE
from tests.chaos.scene import RECOVERY, Scene, last
from tests.chaos.test_workers import IN_FLIGHT
from tests.harness.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.chaos.house import House

pytestmark = pytest.mark.chaos

#: Seconds that PostgreSQL stalls for: two leases, and longer than what counts as a slow answer (state.database).
STALL = max(2 * LEASE.total_seconds(), 6.0)


def test_cut(proxied_house: House, tmp_path: Path) -> None:
    """By reset, and in an orderly way."""
    house = proxied_house
    with Scene(house, tmp_path) as scene:
        scene.begin()
        shares = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
        for number, share in enumerate(shares):
            scene.wait_for_share(share)
            if number % 2:
                house.proxy.cut()
            else:
                house.proxy.reset()
            mark = scene.mark()
        recovery = scene.recovery(mark)
        scene.judge("connections to PostgreSQL cut", injected=len(shares), recovery=recovery)


def test_reply_to_commit_is_lost(proxied_house: House, tmp_path: Path) -> None:
    """It happened, and whoever asked for it cannot know."""
    house, each = proxied_house, 10
    with Scene(house, tmp_path) as scene:
        before = house.proxy.lost
        house.proxy.lose_reply(each, to=b"COMMIT")
        scene.begin()
        for number, share in enumerate((0.2, 0.5), start=2):
            scene.wait_for_share(share)
            house.proxy.lose_reply(each, to=b"COMMIT")
            wait_for_lost(house, before + number * each)
        recovery = scene.recovery(scene.mark())
        scene.check_counters()
        scene.judge("reply to COMMIT lost", injected=house.proxy.lost - before, recovery=recovery)


def wait_for_lost(house: House, replies: int) -> None:
    wait_until(lambda: house.proxy.lost >= replies, "the replies are lost", deadline=60)


def test_network_is_gone_for_longer_than_a_lease(proxied_house: House, tmp_path: Path) -> None:
    house = proxied_house
    with Scene(house, tmp_path, schedulers=4) as scene:
        scene.begin()
        scene.wait_for_share(0.3)
        house.proxy.refuse()
        last(2 * LEASE.total_seconds())
        house.proxy.forward()
        recovery = scene.recovery(scene.mark())
        scene.judge("network to PostgreSQL gone for two leases", recovery=recovery)


def test_stalls_for_longer_than_a_lease(proxied_house: House, tmp_path: Path) -> None:
    """Connections live and nothing passes: as PostgreSQL on a disk that hangs. Workers that live come back with their
    outcomes, whoever's statement is answered first.
    """
    house = proxied_house
    with Scene(house, tmp_path, schedulers=4) as scene:
        scene.begin()
        scene.wait_for_share(0.3)
        house.proxy.stall()
        last(STALL)
        house.proxy.forward()
        recovery = scene.recovery(scene.mark())
        scene.check_counters()
        scene.judge("PostgreSQL stalls for two leases", recovery=recovery)


def test_host_is_cut_off_without_a_good_bye(far_house: House, tmp_path: Path) -> None:
    """No packet of it arrives any more, and none says so: it is noticed by silence, on connections that wait for an
    answer as on those that ask for one. Where a connection attempt outlasts a lease, as here, what
    the workers had on the wire may be taken from them before they are back.
    """
    house = far_house
    with Scene(house, tmp_path, schedulers=4) as scene:
        scene.begin()
        scene.wait_for_share(0.3)
        house.far_host.cut()
        last(2 * LEASE.total_seconds())
        house.far_host.heal()
        recovery = scene.recovery(scene.mark())
        scene.check_counters()
        scene.judge(
            "host of PostgreSQL cut off for two leases",
            duplicated=2 * IN_FLIGHT,
            recovery=recovery,
            allowed=RECOVERY + SILENCE["connect_timeout"],
        )
