"""What a crash leaves, and what the sweeper makes of it: every commit edge, zombies, poison, doubt."""

from __future__ import annotations

import asyncio
from collections import Counter
from threading import Event
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update

from engine.campaigns import lifecycle
from engine.channels.port import Deferred, Delivered, Doubtful, Rejected
from engine.delivery import slices
from engine.kernel.triggers import POINTS, TriggeredError, arm, arm_from_environment, reach
from state.tables import Recipient
from tests.delivery.kit import Crash
from tests.harness.sweeping import sweep

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.channels.port import Outcome
    from tests.delivery.kit import Bench


def crash_once(seen: list[str], point: str):
    def act() -> None:
        if not seen:
            seen.append(point)
            raise Crash(point)

    return act


def work_through(bench: Bench) -> None:
    """Run until all is done, whatever crashes on the way, with a new worker after each crash."""
    for _ in range(60):
        try:
            bench.run_out(step=31)
        except Crash:
            bench.executor = bench.new_executor()
        else:
            return
    raise AssertionError("it never ended")


#: At these edges a wave is on the wire or was sent and not settled: only there may a repeat happen.
AMBIGUOUS = {"wave.sent", "slice.before_close_commit"}


@pytest.mark.parametrize("doubt", ["resend", "hold"])
@pytest.mark.parametrize("point", [point for point in POINTS if not point.startswith("schedule.")])
def test_every_commit_edge(bench: Bench, point: str, doubt: str) -> None:
    """Killed at any edge: nobody is lost; at most one wave is repeated or held, and only where that cannot be known."""
    people = bench.entities(60)
    campaign = bench.campaign(doubt=doubt)
    if point.startswith("recover"):
        bench.activate(campaign)
        bench.work(most=2)
        crash_leaving_a_wave_in_flight(bench)
        bench.clock.forward(seconds=31)
    seen: list[str] = []
    with arm(point, crash_once(seen, point)):
        if not point.startswith("recover"):
            bench.activate(campaign)
        work_through(bench)
    flushed_only_while_waiting = {"settle.before_commit", "settle.committed"}
    assert seen or point in flushed_only_while_waiting, "the point was never reached"
    sent = bench.channel.sent()
    assert set(people) == set(sent) | {
        key for key, row in bench.recipients().items() if row.error_code == "OUTCOME_UNKNOWN"
    }
    repeated = sum(count - 1 for count in sent.values())
    unknown = Counter(row.error_code for row in bench.recipients().values())["OUTCOME_UNKNOWN"]
    wave = bench.settings.wave_size
    if point in AMBIGUOUS or point.startswith("recover"):
        assert repeated + unknown <= wave
    elif point == "wave.claimed":
        assert 0 == repeated
        assert unknown == (wave if doubt == "hold" else 0)
    else:
        assert (0, 0) == (repeated, unknown)
    assert Counter(success=60 - unknown, failed=unknown) == +bench.statuses()
    assert all(not row.in_flight for row in bench.recipients().values())
    bench.check_counters(campaign)
    assert "completed" == bench.campaign_status(campaign)


def crash_leaving_a_wave_in_flight(bench: Bench) -> None:
    with arm("wave.claimed", crash_once([], "wave.claimed")), pytest.raises(Crash):
        bench.work()
    bench.executor = bench.new_executor()
    assert any(row.in_flight for row in bench.recipients().values())


def test_flushes_are_commit_edges_too(bench: Bench) -> None:
    """A channel that takes its time: outcomes are flushed meanwhile, and a crash there repeats at most the wave."""
    people = bench.entities(20)
    bench.settings = bench.runtime.settings = bench.settings.model_copy(
        update={"flush_interval": bench.settings.flush_interval / 10}
    )
    original = bench.channel.send
    flushing = Event()

    async def slow(messages, report, stop):
        for message in messages:
            await original([message], report, stop)
            await asyncio.to_thread(flushing.wait, 10)

    bench.channel.send = slow  # type: ignore[method-assign]
    campaign = bench.campaign()
    seen: list[str] = []
    crash = crash_once(seen, "x")

    def flush() -> None:
        flushing.set()
        crash()

    with arm("settle.before_commit", flush):
        bench.activate(campaign)
        work_through(bench)
    assert seen
    assert set(people) == set(bench.channel.sent())
    assert {"success": 20} == bench.statuses()
    assert sum(bench.channel.sent().values()) <= 20 + bench.settings.wave_size
    bench.check_counters(campaign)


def test_zombie_writes_nothing(bench: Bench, clock) -> None:
    """A worker that slept past its lease wakes up and settles: the epoch refuses it, the other's outcome stands."""
    people = bench.entities(5)
    bench.activate(bench.campaign())
    bench.work(most=1)
    other = bench.new_executor()
    slept = False

    def fall_asleep() -> None:
        nonlocal slept
        if slept:
            return
        slept = True
        clock.forward(seconds=31)
        sweep(bench.runtime)
        bench.channel.answer = lambda _: Rejected("X", "told the other worker")
        bench.work(other)

    with arm("wave.sent", fall_asleep):
        bench.work()
    assert Counter(failed=5) == bench.statuses()
    assert all(
        (row.error_text or "").endswith("X: told the other worker") for row in bench.recipients().values()
    )
    assert Counter(dict.fromkeys(people, 2)) == bench.channel.sent()


def test_poison_ends_failed_not_in_a_loop(bench: Bench, clock) -> None:
    """A recipient that kills every worker that claims it is given up after the channel's attempts."""
    bench.entities(1)
    campaign = bench.campaign(max_attempts=3)
    bench.activate(campaign)

    def die() -> None:
        raise Crash

    crashes = 0
    with arm("wave.claimed", die):
        for _ in range(10):
            try:
                bench.sweep_and_work()
            except Crash:
                crashes += 1
                bench.executor = bench.new_executor()
            clock.forward(seconds=31)
    assert 3 == crashes
    row = next(iter(bench.recipients().values()))
    assert ("failed", "OUTCOME_UNKNOWN", 3) == (row.automation_status, row.error_code, row.attempt)
    assert "completed" == bench.campaign_status(campaign)


def test_doubt_is_not_forgotten_when_the_repeat_is_refused(bench: Bench) -> None:
    """May have arrived first, refused afterwards: nobody knows, and the record says so."""
    people = bench.entities(1)
    answers: Iterator[Outcome] = iter(
        [Doubtful("SMTP_TIMEOUT", "no answer"), Deferred("SMTP_451", "later"), Rejected("SMTP_550", "gone")]
    )
    bench.channel.answer = lambda _: next(answers)
    bench.activate(bench.campaign(max_attempts=5))
    bench.run_out()
    row = bench.recipients()[people[0]]
    assert ("failed", "OUTCOME_UNKNOWN") == (row.automation_status, row.error_code)
    assert "SMTP_550" in (row.error_text or "")


def test_success_ends_the_doubt(bench: Bench) -> None:
    bench.entities(1)
    answers: Iterator[Outcome] = iter([Doubtful("SMTP_TIMEOUT", "no answer"), Delivered()])
    bench.channel.answer = lambda _: next(answers)
    bench.activate(bench.campaign())
    bench.run_out()
    row = next(iter(bench.recipients().values()))
    assert ("success", None) == (row.automation_status, row.error_code)


def test_a_status_set_from_outside_stands(bench: Bench) -> None:
    """A recipient that an API moved while it was on the wire keeps that status, and is counted once."""
    people = bench.entities(5)
    campaign = bench.campaign()
    bench.activate(campaign)

    def interfere() -> None:
        with bench.database.begin() as session:
            session.execute(
                update(Recipient)
                .where(Recipient.entity_id == people[0])
                .values(automation_status="cancelled")
            )

    with arm("wave.sent", interfere):
        bench.work(most=2)
    row = bench.recipients()[people[0]]
    assert ("cancelled", False) == (row.automation_status, row.in_flight)


def test_a_stopped_job_is_wound_up_and_then_forgotten(bench: Bench) -> None:
    """A slice that was leased when its job was stopped is closed once its lease has expired; then the sweeper has no
    more to do with the job.
    """
    bench.entities(40)
    campaign = bench.campaign()
    job_id = bench.activate(campaign)
    bench.work(most=1)
    with bench.runtime.transaction() as session:
        assert slices.lease(session, bench.org_id, job_id, 0, owner="gone", lasts=bench.settings.lease)
    with bench.runtime.transaction() as session:
        lifecycle.deactivate(session, bench.org_id, campaign)
    bench.work()
    assert Counter(pending=10, cancelled=30) == bench.statuses()
    assert bench.job(job_id).touched_at is not None
    bench.clock.forward(seconds=31)
    bench.sweep_and_work()
    assert {"cancelled": 40} == bench.statuses()
    assert bench.job(job_id).touched_at is None
    bench.check_counters(campaign)
    bench.clock.forward(seconds=31)
    swept = sweep(bench.runtime)
    assert (0, []) == (swept.restarted, bench.wakeups.sent)


def test_triggers_of_the_environment() -> None:
    arm_from_environment("plan.done=raise@2")
    reach("plan.done")
    with pytest.raises(TriggeredError, match=r"plan\.done"):
        reach("plan.done")
    reach("plan.done")
    for wrong in ("no.such=kill", "plan.done=explode"):
        with pytest.raises(ValueError, match=r"no trigger point|neither kill nor"):
            arm_from_environment(wrong)
    with arm("plan.done", lambda: None):
        pass  # disarms
