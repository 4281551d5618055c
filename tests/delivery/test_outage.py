"""After an outage of the database living workers keep their slices, however early a sweeper comes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.exc import OperationalError

from engine.delivery.recover import sweep
from engine.triggers import arm
from tests.delivery.kit import Crash

if TYPE_CHECKING:
    from tests.conftest import ManualClock
    from tests.delivery.kit import Bench


def lose(bench: Bench) -> None:
    """A sweep that finds the database away."""

    def away() -> None:
        raise OperationalError("SELECT 1", {}, Exception("the server closed the connection"))

    with arm("recover.before_commit", away), pytest.raises(OperationalError):
        sweep(bench.runtime)


def test_leases_hold_for_their_time_after_an_outage(bench: Bench, clock: ManualClock) -> None:
    bench.entities(5)
    bench.activate(bench.campaign())
    bench.work(most=1)
    acted = []

    def outage() -> None:
        if acted:
            return
        clock.forward(seconds=31)
        lose(bench)
        acted.append(sweep(bench.runtime))

    with arm("wave.sent", outage):
        bench.work()
    assert [(0, 0)] == [(swept.recovered, swept.in_doubt) for swept in acted]
    assert set(bench.channel.sent().values()) == {1}
    assert {"success": 5} == bench.statuses()


def test_whoever_does_not_come_back_in_that_time_is_taken_for_dead(
    bench: Bench, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.entities(5)
    bench.activate(bench.campaign())
    bench.work(most=1)

    def crash() -> None:
        raise Crash

    with arm("wave.sent", crash), pytest.raises(Crash):
        bench.work()
    clock.forward(seconds=31)
    lose(bench)
    assert sweep(bench.runtime).recovered == 0
    later = time.monotonic() + 31
    monkeypatch.setattr("state.database.time.monotonic", lambda: later)
    assert sweep(bench.runtime).recovered == 1
