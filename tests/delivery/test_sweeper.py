"""The sweeper's chores stand alone, and one process at a time does them, for a term."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from actors import sweeper
from actors.sweeper import CHORES, Chore, sweep
from engine.campaigns import lifecycle
from engine.channels.port import Deferred, Delivered
from engine.delivery.recover import next_due
from engine.kernel.chores import late_chores, list_chores
from engine.kernel.for_each import SomeFailed, for_each
from engine.kernel.leadership import LeadershipLost, lead
from state.database import Database
from state.locks import Lock
from state.tables import Job

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import ManualClock
    from tests.delivery.kit import Bench


def failing(name: str) -> tuple[Chore, ...]:
    """All chores, of which one raises."""

    def fail(*_: object) -> None:
        raise ValueError(name)

    return tuple(Chore(chore.name, fail) if chore.name == name else chore for chore in CHORES)


def metric(name: str, chore: str) -> float:
    return REGISTRY.get_sample_value(name, {"chore": chore}) or 0.0


@pytest.mark.parametrize("name", [chore.name for chore in CHORES])
def test_a_chore_that_fails_stops_no_other(bench: Bench, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    done: list[str] = []

    def noting(chore: Chore) -> Chore:
        def do(*given: object) -> None:
            done.append(chore.name)
            chore.do(*given)  # type: ignore[arg-type]

        return Chore(chore.name, do)

    failures = metric("muster_chore_failures_total", name)
    monkeypatch.setattr(sweeper, "CHORES", tuple(noting(chore) for chore in failing(name)))
    swept = sweep(bench.runtime)
    assert swept is not None
    assert [name] == list(swept.failures)
    assert [chore.name for chore in CHORES] == done
    assert failures + 1 == metric("muster_chore_failures_total", name)


@pytest.mark.parametrize("name", ["start_due", "pause_spent", "distribute_events", "wake_lost"])
def test_retries_go_on_while_another_chore_fails(
    bench: Bench, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    bench.entities(3)
    bench.activate(bench.campaign())
    bench.channel.answer = lambda _: Deferred("BUSY", "later")
    bench.work()
    assert {"pending": 3} == bench.statuses()
    bench.channel.answer = lambda _: Delivered()
    monkeypatch.setattr(sweeper, "CHORES", failing(name))
    for _ in range(5):
        clock.forward(minutes=5)
        sweep(bench.runtime)
        bench.work()
    assert {"success": 3} == bench.statuses()


def test_a_chore_is_measured(bench: Bench) -> None:
    sweep(bench.runtime)
    for chore in CHORES:
        assert metric("muster_chore_last_success_timestamp_seconds", chore.name) > 0
        assert metric("muster_chore_seconds", chore.name) > 0


def test_what_chores_did_last_is_written_down(
    bench: Bench, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def known() -> dict[str, tuple[int, str, bool]]:
        with bench.database.read() as session:
            late = {one.name for one in late_chores(session)}
            return {one.name: (one.failures, one.error, one.name in late) for one in list_chores(session)}

    sweep(bench.runtime)
    assert known() == {chore.name: (0, "", False) for chore in CHORES}
    with monkeypatch.context() as patch:
        patch.setattr(sweeper, "CHORES", failing("pause_spent"))
        sweep(bench.runtime)
        assert known()["pause_spent"] == (1, "ValueError", False)
        sweep(bench.runtime)
        assert known()["pause_spent"] == (1, "ValueError", False), "written down every ten seconds"
        clock.forward(minutes=3)
        sweep(bench.runtime)
        assert known()["pause_spent"] == (2, "ValueError", True)
        assert known()["wake_lost"] == (0, "", False)
    sweep(bench.runtime)
    assert known()["pause_spent"] == (0, "", False)


def test_one_that_fails_stops_none_of_the_others() -> None:
    def halve(number: int) -> int:
        return 10 // number

    with pytest.raises(SomeFailed, match="2 failed, the first with ZeroDivisionError"):
        for_each([0, 5, 0, 2], halve)
    assert for_each([5, 2], halve) == 7


def test_a_campaign_that_cannot_be_paused_keeps_no_other_from_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.entities(20)
    campaigns = [bench.campaign(budget=1.0) for _ in range(2)]
    for campaign in campaigns:
        bench.activate(campaign)
    bench.work(most=2)
    spent = [(bench.org_id, campaign) for campaign in campaigns]
    monkeypatch.setattr("engine.campaigns.budget._overspent", lambda _: spent)
    pause: Callable[..., object] = lifecycle.pause

    def broken(session: object, org_id: object, campaign_id: object, **named: object) -> object:
        if campaign_id == min(campaigns):
            raise ValueError
        return pause(session, org_id, campaign_id, **named)

    monkeypatch.setattr("engine.campaigns.lifecycle.pause", broken)
    swept = sweep(bench.runtime)
    assert swept is not None
    assert {"pause_spent"} == swept.failures.keys()
    assert bench.campaign_status(min(campaigns)) == "active"
    assert bench.campaign_status(max(campaigns)) == "paused"


@pytest.fixture
def servers_clock(postgresql_url: str) -> Database:
    return Database(postgresql_url, pool_size=4)


def test_one_leads_and_the_next_follows_at_once(servers_clock: Database) -> None:
    term = timedelta(seconds=30)
    with lead(servers_clock, Lock.SWEEPER, term=term) as first:
        assert first is not None
        first.renew()
        with lead(servers_clock, Lock.SWEEPER, term=term) as second:
            assert second is None
        with lead(servers_clock, Lock.MAILBOX_READER, term=term) as other:
            assert other is not None
    with lead(servers_clock, Lock.SWEEPER, term=term) as third:
        assert third is not None
    servers_clock.close()


def test_a_leader_that_is_silent_for_a_term_leads_no_more(servers_clock: Database) -> None:
    """The server ends it, whatever became of its host; what it does next tells it."""
    with pytest.raises(LeadershipLost):
        _lead_too_long(servers_clock)
    servers_clock.close()


def _lead_too_long(database: Database) -> None:
    with lead(database, Lock.SWEEPER, term=timedelta(milliseconds=50)) as term:
        assert term is not None
        with database.autocommit() as connection:
            # Not before the server has taken the lock from it.
            connection.execute(text("SELECT pg_advisory_lock(:duty, 0)"), {"duty": Lock.SWEEPER})
            connection.execute(text("SELECT pg_advisory_unlock(:duty, 0)"), {"duty": Lock.SWEEPER})
        term.renew()


def test_a_round_without_leadership_ends(
    servers_clock: Database, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chore that outlasts the term is the last of its round, and nothing is raised."""

    def lose(_: object) -> None:
        raise LeadershipLost

    monkeypatch.setattr("engine.kernel.leadership.Term.renew", lose)
    swept = sweep(bench.runtime)
    assert swept is not None
    assert {} == swept.failures
    servers_clock.close()


def test_a_database_that_is_away_is_an_outage() -> None:
    away = Database("postgresql+psycopg://muster@127.0.0.1:1/muster", pool_size=2)
    with pytest.raises(DBAPIError), lead(away, Lock.SWEEPER, term=timedelta(seconds=30)):
        pass
    away.close()


def test_what_falls_due_between_two_sweeps_is_known(bench: Bench, clock: ManualClock) -> None:
    """The end of a job's wait, and a slice's next recipient; what is due already, or later, is not."""

    def in_seconds(within: float) -> float | None:
        now = clock.now()
        found = next_due(bench.runtime, after=now, before=now + timedelta(seconds=within))
        return None if found is None else (found - now).total_seconds()

    bench.entities(5)
    bench.channel.answer = lambda _: Deferred("SMTP_450", "later", retry_after=None)
    campaign = bench.campaign(max_attempts=2)
    assert in_seconds(3600) is None, "nothing runs"
    job = bench.activate(campaign)
    bench.work()
    retried = in_seconds(86_400)
    assert retried is not None
    assert in_seconds(retried - 0.001) is None
    with bench.database.begin() as session:
        session.get_one(Job, job).waits_until = clock.now() + timedelta(seconds=0.7)
    assert 0.7 == in_seconds(3600), "until then the whole job waits"
    with bench.database.begin() as session:
        session.get_one(Job, job).waits_until = None
    clock.forward(seconds=retried + 1)
    assert in_seconds(3600) is None
    bench.sweep_and_work()
    assert {"failed": 5} == bench.statuses()
