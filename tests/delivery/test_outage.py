"""After an outage of the database living workers keep their slices, however early a sweeper comes."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import OperationalError

from actors import sweeper
from engine.campaigns import lifecycle
from engine.kernel.triggers import arm
from tests.harness.sweeping import sweep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest

    from actors.sweeper import Swept
    from tests.conftest import ManualClock
    from tests.delivery.kit import Bench


def lose(bench: Bench) -> None:
    """A sweep that finds the database away."""

    def away() -> None:
        raise OperationalError("SELECT 1", {}, Exception("the server closed the connection"))

    with arm("recover.before_commit", away):
        swept = sweeper.sweep(bench.runtime)
    assert swept is not None
    assert {"take_back"} == swept.failures.keys()


def test_leases_hold_for_their_time_after_an_outage(bench: Bench, clock: ManualClock) -> None:
    bench.entities(5)
    bench.activate(bench.campaign())
    bench.work(most=1)
    acted: list[Swept] = []

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
    bench.crash_at("wave.sent")
    clock.forward(seconds=31)
    lose(bench)
    assert sweep(bench.runtime).recovered == 0
    later = time.monotonic() + 31
    monkeypatch.setattr("state.database.time.monotonic", lambda: later)
    assert sweep(bench.runtime).recovered == 1


class Answer:
    """The database commits a claim, and its answer is lost on the way. `meanwhile` happens before the next try."""

    def __init__(self, bench: Bench, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], None]) -> None:
        self.lost = False
        self._claiming = False
        self._meanwhile = meanwhile
        monkeypatch.setattr(bench.runtime, "transaction", self._losing(bench.runtime.transaction))
        monkeypatch.setattr(bench.database, "autocommit", self._losing(bench.database.autocommit))

    def claiming(self) -> None:
        """The next commit is a claim's."""
        self._claiming = not self.lost

    def _losing(self, transact: Any) -> Any:
        @contextmanager
        def losing(*given: Any, **named: Any) -> Iterator[Any]:
            with transact(*given, **named) as session:
                yield session
            if self._claiming:
                self._claiming, self.lost = False, True
                self._meanwhile()
                raise OperationalError("COMMIT", {}, Exception("the server closed the connection"))

        return losing


def test_a_claim_whose_answer_is_lost_is_taken_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    people = bench.entities(20)
    bench.activate(bench.campaign())
    bench.work(most=1)
    answer = Answer(bench, monkeypatch, lambda: None)
    with arm("wave.before_claim_commit", answer.claiming):
        bench.work()
    assert answer.lost
    assert Counter(people) == bench.channel.sent()
    assert {"success": 20} == bench.statuses()
    assert {1} == {row.attempt for row in bench.recipients().values()}


def test_a_claim_whose_answer_is_lost_is_given_back_when_paused(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is sent to, and nobody stays in flight where no worker would look."""
    people = bench.entities(20)
    campaign = bench.campaign()
    bench.activate(campaign)
    bench.work(most=1)

    def pause() -> None:
        with bench.runtime.transaction() as session:
            lifecycle.pause(session, bench.org_id, campaign)

    answer = Answer(bench, monkeypatch, pause)
    with arm("wave.before_claim_commit", answer.claiming):
        bench.work()
    assert answer.lost
    assert not bench.channel.journal
    assert {"pending": 20} == bench.statuses()
    assert not any(row.in_flight for row in bench.recipients().values())
    bench.check_counters(campaign)
    with bench.runtime.transaction() as session:
        lifecycle.resume(session, bench.org_id, campaign, window=3)
    bench.work()
    assert Counter(people) == bench.channel.sent()
    assert {"success": 20} == bench.statuses()
    assert {1} == {row.attempt for row in bench.recipients().values()}
