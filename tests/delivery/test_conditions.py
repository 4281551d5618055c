"""Conditions of touchpoints: whom they let through, what they can ask, and what becomes of the others."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, update

from engine.delivery.conditions import check_condition, passing
from engine.delivery.slices import Lease
from engine.kernel.inputs import Invalid
from state.tables import (
    Engagement,
    Recipient,
)
from tests.delivery.accounts import TWO_DAYS, check, history, sent_at

if TYPE_CHECKING:
    from uuid import UUID

    from tests.delivery.kit import Bench


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
