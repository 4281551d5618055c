"""Flows of several touchpoints: everybody is run through each that is for them, once, when it is due."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update

from engine.campaigns import lifecycle
from engine.campaigns.recipients import RecipientChange, update_recipient
from engine.channels.port import Deferred, Delivered, Down, Rejected
from engine.delivery.retrigger import retrigger_failed
from engine.insight.progress import campaign_progress
from engine.kernel.triggers import POINTS, arm
from state.tables import (
    Channel,
    Suppression,
)
from tests.delivery.accounts import TWO_DAYS, check, history, sent_at
from tests.delivery.kit import Crash

if TYPE_CHECKING:
    from uuid import UUID

    from tests.delivery.kit import Bench


def test_two_messages_with_a_wait_between(bench: Bench, clock) -> None:
    people = bench.entities(47)
    campaign = bench.campaign()
    first, wait, second = bench.sequence(campaign, {}, TWO_DAYS, {})
    job = bench.activate(campaign)
    while bench.wakeups.sent:
        bench.work(most=1)
        bench.check_counters(campaign)
    assert Counter(people) == sent_at(bench, first)
    rows = bench.recipients().values()
    assert {("in_progress", False, wait, 1)} == {
        (row.automation_status, row.in_flight, row.touchpoint_id, row.step) for row in rows
    }
    assert {clock.now().replace(second=0, day=clock.now().day + 2)} == {row.due_at for row in rows}
    with bench.database.read() as session:
        progress = campaign_progress(session, bench.org_id, campaign)
    assert (47, 0, 47) == (progress.counts["in_progress"], progress.processed, progress.total)
    assert ("processing", "active") == (bench.job(job).status, bench.campaign_status(campaign))
    clock.forward(days=1, hours=23, minutes=59)
    bench.sweep_and_work()
    assert not sent_at(bench, second)
    clock.forward(minutes=1)
    bench.sweep_and_work()
    assert Counter(people) == sent_at(bench, second)
    assert {"success": 47} == bench.statuses()
    assert ("finished", "completed") == (bench.job(job).status, bench.campaign_status(campaign))
    assert {first: Counter(success=47), second: Counter(success=47)} == history(bench)
    keys = [message.execution_id for message in bench.channel.journal]
    assert len(keys) == len(set(keys)) == 94
    assert {first: (47, 0, 0), second: (47, 0, 0)} == check(bench, campaign)


def test_each_touchpoint_has_its_own_attempts_channel_and_policy(bench: Bench, clock) -> None:
    people = bench.entities(12)
    campaign = bench.campaign(max_attempts=2)
    other = bench.second_channel(max_attempts=4)
    first, second = bench.sequence(campaign, {}, {"channel_id": other})
    failures: Counter[UUID] = Counter()

    def stubborn(message) -> Deferred | Delivered:
        failures[message.entity_id] += 1
        return Delivered() if failures[message.entity_id] == 4 else Deferred("LATER", "not now")

    slow_once = {people[0]}

    def slow(message) -> Deferred | Delivered:
        if message.entity_id not in slow_once:
            return Delivered()
        slow_once.discard(message.entity_id)
        return Deferred("LATER", "not now")

    bench.channel.answer = slow
    bench.senders.others[other].answer = stubborn
    bench.activate(campaign)
    bench.work()
    assert Counter(pending=1, in_progress=11) == bench.statuses()
    bench.check_counters(campaign)
    bench.run_out()
    assert {"success": 12} == bench.statuses()
    assert {4} == {row.attempt for row in bench.recipients().values()}
    assert {4} == set(sent_at(bench, second).values())
    for messages in (bench.channel.journal, bench.senders.others[other].journal):
        assert 12 == len({message.execution_id for message in messages})
    assert {first: (12, 0, 0), second: (12, 0, 0)} == check(bench, campaign)


def test_retriggered_where_it_failed(bench: Bench, clock) -> None:
    people = bench.entities(25)
    campaign = bench.campaign()
    first, second, third = bench.sequence(campaign, {}, {}, {})
    refused = set(people[:4])

    def answer(message):
        wrong = message.touchpoint_id == second and message.entity_id in refused
        return Rejected("NO", "no") if wrong else Delivered()

    bench.channel.answer = answer
    bench.activate(campaign)
    bench.run_out()
    assert Counter(success=21, failed=4) == bench.statuses()
    assert 21 == len(sent_at(bench, third))
    refused.clear()
    with bench.runtime.transaction() as session:
        assert 4 == retrigger_failed(session, bench.org_id, campaign, window=3, slice_size=10)
    bench.run_out()
    assert {"success": 25} == bench.statuses()
    assert Counter(people) == sent_at(bench, first) == sent_at(bench, third)
    assert {first: (25, 0, 0), second: (25, 0, 0), third: (25, 0, 0)} == check(bench, campaign)


def test_deactivated_and_activated_again_goes_on_where_it_was(bench: Bench, clock) -> None:
    people = bench.entities(30)
    campaign = bench.campaign()
    first, _, third = bench.sequence(campaign, {}, TWO_DAYS, {})
    bench.activate(campaign)
    bench.work()
    clock.forward(days=1)
    with bench.runtime.transaction() as session:
        lifecycle.deactivate(session, bench.org_id, campaign)
    bench.work()
    assert {"cancelled": 30} == bench.statuses()
    check(bench, campaign)
    bench.activate(campaign)
    bench.work()
    assert not sent_at(bench, third)
    clock.forward(days=1, minutes=1)
    bench.run_out()
    assert Counter(people) == sent_at(bench, first) == sent_at(bench, third)
    assert {"success": 30} == bench.statuses()
    check(bench, campaign)


def test_paused_between_touchpoints(bench: Bench, clock) -> None:
    people = bench.entities(30)
    campaign = bench.campaign()
    first, _, third = bench.sequence(campaign, {}, TWO_DAYS, {})
    bench.activate(campaign)
    bench.work()
    with bench.runtime.transaction() as session:
        lifecycle.pause(session, bench.org_id, campaign)
    clock.forward(days=5)
    bench.sweep_and_work()
    assert not sent_at(bench, third)
    assert {"in_progress": 30} == bench.statuses()
    with bench.runtime.transaction() as session:
        lifecycle.resume(session, bench.org_id, campaign, window=3)
    bench.run_out()
    assert Counter(people) == sent_at(bench, first) == sent_at(bench, third)
    check(bench, campaign)


def test_suppressed_between_touchpoints(bench: Bench, clock) -> None:
    people = bench.entities(12)
    campaign = bench.campaign()
    _, _, third = bench.sequence(campaign, {}, TWO_DAYS, {})
    bench.activate(campaign)
    bench.work()
    with bench.database.begin() as session:
        session.add(
            Suppression(
                org_id=bench.org_id,
                medium="email",
                address="p3@example.com",
                reason="unsubscribe",
                created_at=clock.now(),
            )
        )
    clock.forward(days=3)
    bench.run_out()
    assert Counter(success=11, cancelled=1) == bench.statuses()
    [row] = [row for row in bench.recipients().values() if row.automation_status == "cancelled"]
    assert ("SUPPRESSED", "unsubscribe", third) == (row.error_code, row.error_text, row.touchpoint_id)
    assert row.entity_id not in sent_at(bench, third)
    assert (11, 0, 1) == check(bench, campaign)[third]
    assert len(people) == 12


def test_a_channel_that_is_down_keeps_nobody_else(bench: Bench, clock) -> None:
    """Half of a slice is at the second touchpoint, whose channel is down: the others get the first."""
    people = bench.entities(10)
    campaign = bench.campaign()
    other = bench.second_channel()
    first, _second = bench.sequence(campaign, {}, {"channel_id": other})
    late = set(people[:5])
    bench.channel.answer = lambda message: (
        Deferred("LATER", "not now", 60) if message.entity_id in late else Delivered()
    )
    bench.senders.others[other].answer = lambda _: Down("REFUSED", "nobody there")
    job = bench.activate(campaign)
    bench.work()
    assert bench.job(job).waits_until is None
    with bench.database.begin() as session:
        hour = clock.now().replace(hour=23)
        session.execute(update(Channel).where(Channel.id == other).values(blocked_until=hour))
    late.clear()
    clock.forward(seconds=90)
    bench.sweep_and_work()
    assert Counter(people) == Counter(dict.fromkeys(sent_at(bench, first), 1))
    asked = len(bench.senders.others[other].journal)
    bench.sweep_and_work()
    assert asked == len(bench.senders.others[other].journal)
    assert {hour} == {piece.due_at for piece in bench.slices(job)}
    bench.senders.others[other].answer = lambda _: Delivered()
    clock.forward(hours=15)
    bench.run_out()
    assert {"success": 10} == bench.statuses()
    assert {1} == {row.attempt for row in bench.recipients().values()}
    check(bench, campaign)


def test_a_flow_that_begins_with_a_wait(bench: Bench, clock) -> None:
    people = bench.entities(12)
    campaign = bench.campaign()
    until = clock.now().replace(hour=20)
    _, message = bench.sequence(campaign, {"type": "wait", "settings": {"until": until.isoformat()}}, {})
    bench.activate(campaign)
    bench.work()
    assert {"in_progress": 12} == bench.statuses()
    check(bench, campaign)
    clock.forward(hours=11)
    bench.run_out()
    assert Counter(people) == sent_at(bench, message)
    assert {"success": 12} == bench.statuses()
    check(bench, campaign)


@pytest.mark.parametrize("wanted", ["success", "failed", "cancelled", "pending"])
def test_reported_elsewhere_while_it_waits(bench: Bench, clock, wanted: str) -> None:
    """Somebody reports through an API what became of one who waits: it stands, and is counted once."""
    people = bench.entities(12)
    campaign = bench.campaign()
    _, _, last = bench.sequence(campaign, {}, TWO_DAYS, {})
    bench.activate(campaign)
    bench.work()
    with bench.runtime.transaction() as session:
        change = RecipientChange.model_validate({"automation_status": wanted})
        update_recipient(session, bench.org_id, campaign, people[0], change)
    bench.check_counters(campaign)
    with bench.database.read() as session:
        progress = campaign_progress(session, bench.org_id, campaign)
    assert 11 == progress.counts["in_progress"]
    clock.forward(days=3)
    bench.run_out()
    assert Counter(people[1:]) == sent_at(bench, last)
    assert wanted == bench.recipients()[people[0]].automation_status
    bench.check_counters(campaign)


@pytest.mark.parametrize("point", [point for point in POINTS if not point.startswith(("plan", "report"))])
@pytest.mark.parametrize("nth", [1, 4])
def test_killed_between_and_inside_steps(bench: Bench, clock, point: str, nth: int) -> None:
    """The first message may be repeated under its key, the second is held: doubt follows each step's own channel."""
    people = bench.entities(30)
    campaign = bench.campaign()
    careful = bench.second_channel(doubt_policy="hold")
    some = {"filter": {"items": [{"key": "email", "operator": "NOT_EQUALS", "value": "p1@example.com"}]}}
    first, _, second, third = bench.sequence(
        campaign,
        {},
        TWO_DAYS,
        {"channel_id": careful, "variants": [{"id": "a"}, {"id": "b"}]},
        {"condition": some},
    )
    bench.activate(campaign)
    seen = crashes = 0

    def act() -> None:
        nonlocal seen
        seen += 1
        if seen % nth == 0 and seen // nth <= 3:
            raise Crash(point)

    with arm(point, act):
        for _ in range(60):
            try:
                bench.run_out(step=86_400 / 4)
            except Crash:
                crashes += 1
                bench.executor = bench.new_executor()
                bench.check_counters(campaign)
            else:
                break
    rows = bench.recipients()
    unknown = {key for key, row in rows.items() if row.error_code == "OUTCOME_UNKNOWN"}
    assert Counter(success=30 - len(unknown), failed=len(unknown)) == +bench.statuses()
    assert all(rows[key].touchpoint_id == second for key in unknown)
    assert len(unknown) <= crashes * bench.settings.wave_size
    assert set(people) == set(sent_at(bench, first))
    assert all(count == 1 for count in sent_at(bench, second).values())
    assert 30 - len(unknown) - 1 <= len(sent_at(bench, third)) <= 30 - len(unknown)
    for touchpoint_id in (first, second, third):
        keys = {
            (message.entity_id, message.execution_id)
            for channel in (bench.channel, *bench.senders.others.values())
            for message in channel.journal
            if message.touchpoint_id == touchpoint_id
        }
        assert len(keys) == len(sent_at(bench, touchpoint_id))
    assert Counter(success=30) == history(bench)[first]
    assert not any(row.in_flight for row in rows.values())
    sums = check(bench, campaign)
    assert ((30, 0, 0), len(unknown)) == (sums[first], sums[second][1])
    assert "completed" == bench.campaign_status(campaign)
