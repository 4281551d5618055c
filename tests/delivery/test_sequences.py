"""Flows of several touchpoints: everybody is run through each that is for them, once, when it is due."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from sqlalchemy import delete, func, select, update

from engine.campaigns import lifecycle
from engine.campaigns.recipients import RecipientChange, update_recipient
from engine.channels.port import Deferred, Delivered, Down, Rejected
from engine.delivery.conditions import check_condition, passing
from engine.delivery.retrigger import retrigger_failed
from engine.delivery.rollup import NOBODY
from engine.delivery.slices import Lease
from engine.delivery.variants import Variants
from engine.inputs import Invalid
from engine.insight.progress import campaign_progress
from engine.triggers import POINTS, arm
from state.tables import (
    Campaign,
    Channel,
    DeliveryHour,
    Engagement,
    Execution,
    Recipient,
    Suppression,
    Touchpoint,
)

if TYPE_CHECKING:
    from datetime import datetime

    from tests.delivery.kit import Bench

TWO_DAYS = {"type": "wait", "settings": {"days": 2}}


def sent_at(bench: Bench, touchpoint_id: UUID) -> Counter[UUID]:
    """Entity id → how many messages of a touchpoint were started, over all channels."""
    journals = [bench.channel, *bench.senders.others.values()]
    return Counter(
        message.entity_id
        for channel in journals
        for message in channel.journal
        if message.touchpoint_id == touchpoint_id
    )


def history(bench: Bench) -> dict[UUID, Counter[str]]:
    """Touchpoint → its executions in the history, by status."""
    found: dict[UUID, Counter[str]] = defaultdict(Counter)
    with bench.database.read() as session:
        for touchpoint_id, status in session.execute(select(Execution.touchpoint_id, Execution.status)):
            found[touchpoint_id][status] += 1
    return found


def check_hours(bench: Bench, campaign_id: UUID) -> dict[UUID, tuple[int, int, int]]:
    """The sums by the hour say what a recount of recipients and history says. Returns touchpoint → sent, failed,
    cancelled.
    """
    truth: Counter[tuple] = Counter()
    with bench.database.read() as session:
        only = session.execute(
            select(Touchpoint.id)
            .join(Campaign, Campaign.flow_id == Touchpoint.flow_id)
            .where(Campaign.id == campaign_id)
            .order_by(Touchpoint.position)
            .limit(1)
        ).scalar_one()
        varied = set(session.scalars(select(Touchpoint.id).where(Touchpoint.variants.is_not(None))))
        targets = dict(session.execute(select(Recipient.entity_id, Recipient.target_id)).all())

        def note(status: str, at: UUID | None, variant: str | None, entity_id: UUID, when: datetime) -> None:
            at = at or only
            hour = when.replace(minute=0, second=0, microsecond=0)
            truth[
                status, at, (variant or "") if at in varied else "", targets[entity_id] or NOBODY, hour
            ] += 1

        kept = set()
        for row in session.execute(select(Execution).where(Execution.campaign_id == campaign_id)).scalars():
            kept.add(row.id)
            if row.status != "skipped":
                note(row.status, row.touchpoint_id, row.variant, row.entity_id, row.ended_at)
        for row in session.execute(select(Recipient).where(Recipient.campaign_id == campaign_id)).scalars():
            if row.automation_status in ("failed", "cancelled") or (
                row.automation_status == "success" and row.execution_id not in kept
            ):
                note(row.automation_status, row.touchpoint_id, row.variant, row.entity_id, row.updated_at)
        counted: Counter[tuple] = Counter()
        sums: dict[UUID, tuple[int, int, int]] = {}
        for row in session.execute(
            select(DeliveryHour).where(DeliveryHour.campaign_id == campaign_id)
        ).scalars():
            key = (row.touchpoint_id, row.variant, row.target_id, row.hour)
            for status, count in (
                ("success", row.sent),
                ("failed", row.failed),
                ("cancelled", row.cancelled),
            ):
                counted[(status, *key)] += count
            before = sums.get(row.touchpoint_id, (0, 0, 0))
            sums[row.touchpoint_id] = (
                before[0] + row.sent,
                before[1] + row.failed,
                before[2] + row.cancelled,
            )
    assert +truth == +counted
    return sums


def check(bench: Bench, campaign_id: UUID) -> dict[UUID, tuple[int, int, int]]:
    """Every counter is right."""
    bench.check_counters(campaign_id)
    return check_hours(bench, campaign_id)


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
    bench.channel.answer = lambda message: (
        Deferred("LATER", "not now")
        if message.entity_id in slow_once and not slow_once.discard(message.entity_id)
        else Delivered()
    )
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
    assert {first: (25, 0, 0), second: (25, 4, 0), third: (25, 0, 0)} == check(bench, campaign)


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
                channel_kind="scripted",
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


@pytest.mark.parametrize("edit", ["removed", "inactive", "reordered", "appended", "inserted"])
def test_an_edit_counts_for_whoever_is_left(bench: Bench, clock, edit: str) -> None:
    people = bench.entities(12)
    campaign = bench.campaign()
    a, wait, b, c = bench.sequence(campaign, {}, TWO_DAYS, {}, {})
    bench.activate(campaign)
    bench.work()
    rows = {"a": {"id": a}, "wait": {"id": wait, **TWO_DAYS}, "b": {"id": b}, "c": {"id": c}}
    if edit == "removed":
        bench.sequence(campaign, rows["a"], rows["wait"], rows["c"])
    elif edit == "inactive":
        with bench.database.begin() as session:
            session.execute(update(Touchpoint).where(Touchpoint.id == b).values(status="inactive"))
    elif edit == "reordered":
        bench.sequence(campaign, rows["a"], rows["wait"], rows["c"], rows["b"])
    elif edit == "appended":
        *_, new = bench.sequence(campaign, rows["a"], rows["wait"], rows["b"], rows["c"], {})
    else:
        new, *_ = bench.sequence(campaign, {}, rows["a"], rows["wait"], rows["b"], rows["c"])
    clock.forward(days=3)
    bench.run_out()
    assert {"success": 12} == bench.statuses()
    order = [message.touchpoint_id for message in bench.channel.journal if message.entity_id == people[0]]
    wanted = {
        "removed": [a, c],
        "inactive": [a, c],
        "reordered": [a, c, b],
        "appended": [a, b, c, new] if edit == "appended" else [],
        "inserted": [a, b, c],
    }
    assert wanted[edit] == order
    assert {len(order)} == set(bench.channel.sent().values())
    check(bench, campaign)


def test_the_touchpoint_that_is_waited_for_goes(bench: Bench, clock) -> None:
    """Removed in the middle of its back-off: what was tried there is in the history, and what has its place follows."""
    bench.entities(5)
    campaign = bench.campaign()
    a, b, c = bench.sequence(campaign, {}, {}, {})
    bench.channel.answer = lambda message: (
        Deferred("LATER", "not now") if message.touchpoint_id == b else Delivered()
    )
    bench.activate(campaign)
    bench.work()
    assert {("in_progress", b, 1)} == {
        (row.automation_status, row.touchpoint_id, row.attempt) for row in bench.recipients().values()
    }
    bench.sequence(campaign, {"id": a}, {"id": c})
    bench.run_out()
    assert {"success": 5} == bench.statuses()
    assert 5 == len(sent_at(bench, c))
    assert Counter(skipped=5) == history(bench)[b]


def test_who_was_moved_ahead_of_is_not_run_again(bench: Bench, clock) -> None:
    people = bench.entities(5)
    campaign = bench.campaign()
    a, b, wait, c = bench.sequence(campaign, {}, {}, TWO_DAYS, {})
    bench.activate(campaign)
    bench.work()
    bench.sequence(campaign, {"id": wait, **TWO_DAYS}, {"id": c}, {"id": b}, {"id": a})
    clock.forward(days=3)
    bench.run_out()
    for touchpoint_id in (a, b, c):
        assert Counter(people) == sent_at(bench, touchpoint_id)
    assert {"success": 5} == bench.statuses()


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


def test_variants_are_given_by_weight_and_kept(bench: Bench, clock) -> None:
    people = bench.entities(400)
    campaign = bench.campaign()
    three = [{"id": "a", "weight": 1}, {"id": "b", "weight": 3}, {"id": "never", "weight": 0}]
    first, second, third = bench.sequence(
        campaign,
        {"variants": three},
        {"variants": [{"id": "b"}, {"id": "a"}]},
        {"variants": [{"id": "x"}, {"id": "y"}]},
    )
    bench.activate(campaign)
    bench.run_out()
    given = {key: row.variant for key, row in bench.recipients().items()}
    counts = Counter(given.values())
    assert {"a", "b"} == set(counts)
    assert 240 < counts["b"] < 360
    with bench.database.read() as session:
        kept = session.execute(select(Execution.entity_id, Execution.touchpoint_id, Execution.variant)).all()
    assert all(variant == given[who] for who, at, variant in kept if at in (first, second))
    assert {"x", "y"} == {variant for _, at, variant in kept if at == third}
    sums = check(bench, campaign)
    assert {(400, 0, 0)} == set(sums.values())
    assert len(people) == 400


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


def test_a_flow_with_nothing_active_sends_nothing_and_waits(bench: Bench) -> None:
    bench.entities(3)
    campaign = bench.campaign()
    bench.sequence(campaign, {})
    job = bench.activate(
        campaign
    )  # which refuses a flow that has nothing active; so it is switched off afterwards
    with bench.database.begin() as session:
        session.execute(update(Touchpoint).values(status="inactive"))
    bench.work()
    assert {"pending": 3} == bench.statuses()
    assert "no active touchpoint" in bench.job(job).waits_reason
    with bench.database.begin() as session:
        session.execute(update(Touchpoint).values(status="active"))
    bench.run_out(step=31)
    assert {"success": 3} == bench.statuses()


def test_the_hour_turns_inside_a_lease(bench: Bench, clock) -> None:
    """What was written before belongs to the hour before."""
    bench.entities(10)
    campaign = bench.campaign()
    clock.forward(minutes=59, seconds=40)

    def answer(_):
        clock.forward(seconds=3)
        return Delivered()

    bench.channel.answer = answer
    bench.activate(campaign)
    bench.work()
    assert {"success": 10} == bench.statuses()
    with bench.database.read() as session:
        assert 2 == session.execute(select(func.count()).select_from(DeliveryHour)).scalar_one()
    check(bench, campaign)


def test_a_flow_of_one_message_keeps_no_history(bench: Bench) -> None:
    bench.entities(10)
    campaign = bench.campaign()
    bench.activate(campaign)
    bench.work()
    with bench.database.read() as session:
        assert 0 == session.execute(select(func.count()).select_from(Execution)).scalar_one()
        targets = set(session.scalars(select(Recipient.target_id)))
    assert 1 == len(targets)
    assert [(10, 0, 0)] == list(check(bench, campaign).values())


def test_deleting_everything_behind_ends_the_sequence(bench: Bench, clock) -> None:
    bench.entities(5)
    campaign = bench.campaign()
    first, _, _ = bench.sequence(campaign, {}, TWO_DAYS, {})
    bench.activate(campaign)
    bench.work()
    with bench.database.begin() as session:
        session.execute(delete(Touchpoint).where(Touchpoint.id != first))
    clock.forward(days=3)
    bench.run_out()
    assert {"success": 5} == bench.statuses()
    assert Counter(success=5) == history(bench)[first]
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


NOT_CLICKED = {
    "filter": {
        "items": [{"key": "engagement.clicked within 2 days", "operator": "EMPTY"}],
        "combination": "AND",
    }
}


def click(bench: Bench, campaign_id: UUID, people: list[UUID], *, bot: bool = False) -> None:
    """They click, now."""
    now = bench.database.clock.now()
    with bench.database.begin() as session:
        session.add_all(
            Engagement(
                org_id=bench.org_id,
                campaign_id=campaign_id,
                entity_id=key,
                channel="email",
                kind="clicked",
                happened_at=now,
                created_at=now,
                bot=bot,
            )
            for key in people
        )


def test_whom_a_condition_does_not_let_through_skips_the_step(bench: Bench, clock) -> None:
    people = bench.entities(30)
    campaign = bench.campaign()
    first, _, second, third = bench.sequence(campaign, {}, TWO_DAYS, {"condition": NOT_CLICKED}, {})
    bench.activate(campaign)
    bench.work()
    clock.forward(hours=30)
    click(bench, campaign, people[:12])
    click(bench, campaign, people[12:15], bot=True)
    clock.forward(hours=20)
    while True:
        bench.sweep_and_work()
        check(bench, campaign)
        if bench.campaign_status(campaign) == "completed":
            break
    assert Counter(people[12:]) == sent_at(bench, second)
    assert Counter(people) == sent_at(bench, third)
    assert {
        first: Counter(success=30),
        second: Counter(success=18, skipped=12),
        third: Counter(success=30),
    } == history(bench)


def test_who_skips_the_last_step_is_through(bench: Bench) -> None:
    people = bench.entities(12)
    campaign = bench.campaign()
    nobody = {"filter": {"items": [{"key": "email", "operator": "EMPTY"}], "combination": "AND"}}
    first, last = bench.sequence(campaign, {}, {"condition": nobody})
    bench.activate(campaign)
    bench.run_out()
    assert {"success": 12} == bench.statuses()
    assert Counter(people) == bench.channel.sent()
    assert {first: Counter(success=12), last: Counter(skipped=12)} == history(bench)
    check(bench, campaign)


def test_a_single_message_may_have_a_condition(bench: Bench) -> None:
    """Whom nothing is for is through, without a message."""
    people = bench.entities(12)
    campaign = bench.campaign()
    some = {"key": "_id", "operator": "IS_ONE_OF", "value": [str(key) for key in people[:5]]}
    [only] = bench.sequence(campaign, {"condition": {"filter": {"items": [some]}}})
    bench.activate(campaign)
    bench.run_out()
    assert {"success": 12} == bench.statuses()
    assert Counter(people[:5]) == sent_at(bench, only)
    assert {only: Counter(success=5, skipped=7)} == history(bench)
    check(bench, campaign)


def test_a_wait_may_have_a_condition(bench: Bench, clock) -> None:
    people = bench.entities(12)
    campaign = bench.campaign()
    some = {"key": "_id", "operator": "IS_ONE_OF", "value": [str(key) for key in people[:5]]}
    _, _, last = bench.sequence(campaign, {}, {**TWO_DAYS, "condition": {"filter": {"items": [some]}}}, {})
    bench.activate(campaign)
    bench.work()
    assert Counter(people[5:]) == sent_at(bench, last)
    check(bench, campaign)
    clock.forward(days=3)
    bench.run_out()
    assert Counter(people) == sent_at(bench, last)
    check(bench, campaign)


def asked(key: str, operator: str, value: str | None = None) -> dict[str, Any]:
    item = {"key": key, "operator": operator} | ({} if value is None else {"value": value})
    return {"filter": {"items": [item]}}


def test_what_conditions_can_ask(bench: Bench, clock) -> None:
    """Each key and operator, on both databases."""
    people = bench.entities(4)
    campaign = bench.campaign()
    [only] = bench.sequence(campaign, {})
    job = bench.activate(campaign)
    bench.work()
    once, twice, other, never = people
    click(bench, campaign, [once, twice])
    clock.forward(hours=3)
    click(bench, campaign, [twice])
    with bench.database.begin() as session:
        now = clock.now()
        row = {"org_id": bench.org_id, "campaign_id": campaign, "entity_id": other, "channel": "portal"}
        session.add(Engagement(**row, kind="clicked", touchpoint_id=only, happened_at=now, created_at=now))
        session.execute(
            update(Recipient).where(Recipient.entity_id == once).values(variant="a", portal_status="seen")
        )
        session.execute(update(Recipient).values(attempt=0))
        target = session.execute(select(Recipient.target_id).limit(1)).scalar_one()
    everybody, clicked = set(people), {once, twice, other}
    cases = {
        ("engagement.clicked", "EMPTY", None): {never},
        ("engagement.clicked", "NOT_EMPTY", None): clicked,
        ("engagement.clicked", "EQUALS", "2"): {twice},
        ("engagement.clicked", "NOT_EQUALS", "2"): {once, other, never},
        ("engagement.clicked", "GREATER_THAN_OR_EQUAL", "1"): clicked,
        ("engagement.clicked", "LESS_THAN", "1"): {never},
        ("engagement.email.clicked", "NOT_EMPTY", None): {once, twice},
        ("engagement.portal.clicked", "NOT_EMPTY", None): {other},
        ("engagement.clicked within 2 hours", "NOT_EMPTY", None): {twice, other},
        ("engagement.clicked within 1 day", "NOT_EMPTY", None): clicked,
        (f"engagement.clicked of {only}", "NOT_EMPTY", None): {other},
        ("engagement.read", "NOT_EMPTY", None): set(),
        ("recipient.variant", "EQUALS", "a"): {once},
        ("recipient.variant", "NOT_EQUALS", "a"): {twice, other, never},
        ("recipient.variant", "EMPTY", None): {twice, other, never},
        ("recipient.portal_status", "IS_ONE_OF", "seen"): {once},
        ("recipient.portal_status", "CONTAINS", "SEE"): {once},
        ("recipient.target_id", "EQUALS", str(target)): everybody,
        ("recipient.target_id", "NOT_EQUALS", str(target)): set(),
        ("recipient.target_id", "NOT_EMPTY", None): everybody,
        ("recipient.enrolled_at", "EQUALS", "TODAY"): everybody,
        ("recipient.enrolled_at", "GREATER_THAN", "2026-03-02"): set(),
        ("recipient.enrolled_at", "NOT_EMPTY", None): everybody,
        ("email", "EQUALS", "p1@example.com"): {
            key for key in people if bench.recipients()[key].title == "Person 1"
        },
    }
    lease = Lease(bench.org_id, campaign, job, 0, 1, None, 0)
    for (key, operator, value), wanted in cases.items():
        tree = asked(key, operator, value)
        check_condition(tree)
        with bench.database.read() as session:
            assert wanted == passing(session, lease, tree, people, clock.now()), (key, operator)


@pytest.mark.parametrize(
    ("tree", "field", "said"),
    [
        (asked("engagement.clickd", "EMPTY"), "key", "clicked"),
        (asked("engagement.clicked within two days", "EMPTY"), "key", "within 2 days"),
        (asked("engagement.clicked", "CONTAINS", "x"), "operator", "CONTAINS"),
        (asked("engagement.clicked", "GREATER_THAN", "often"), "value", "whole number"),
        (asked("recipient.variants", "EMPTY"), "key", "recipient.variant"),
        (asked("recipient.target_id", "EQUALS", "x"), "value", "id of a target"),
        (asked("recipient.target_id", "CONTAINS", "x"), "operator", "CONTAINS"),
        (asked("recipient.enrolled_at", "LESS_THAN", "soon"), "value", "date"),
        (asked("email", "LIKES", "x"), "operator", "LIKES"),
    ],
)
def test_a_condition_that_cannot_be_evaluated_is_refused(tree: dict[str, Any], field: str, said: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_condition(tree)
    assert f"condition.filter.items[0].{field}" == refused.value.field
    assert said in refused.value.message


def test_variants_are_the_same_everywhere() -> None:
    """The hash is part of the contract: a recipient must not change sides with a release."""
    variants = Variants([{"id": "a", "weight": 1}, {"id": "b", "weight": 1}, {"id": "c", "weight": 2}])
    campaign = UUID(int=7)
    given = [variants.of(campaign, UUID(int=number), None) for number in range(12)]
    assert "abcbcabcbbbc" == "".join(given)
    counts = Counter(variants.of(campaign, UUID(int=number), None) for number in range(8000))
    assert all(abs(counts[name] - share) < 200 for name, share in (("a", 2000), ("b", 2000), ("c", 4000)))
    assert "a" == variants.of(campaign, UUID(int=1), "a")


class Crash(BaseException):
    """As good as SIGKILL for the thread: nothing on the way catches it."""


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
