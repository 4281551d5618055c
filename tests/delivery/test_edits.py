"""A flow that is edited while it is run: what counts, and for whom."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete, update

from engine.channels.port import Deferred, Delivered
from state.tables import (
    Touchpoint,
)
from tests.delivery.accounts import TWO_DAYS, check, history, sent_at

if TYPE_CHECKING:
    from tests.delivery.kit import Bench


@pytest.mark.parametrize("edit", ["removed", "inactive", "reordered", "appended", "inserted"])
def test_an_edit_counts_for_whoever_is_left(bench: Bench, clock, edit: str) -> None:
    people = bench.entities(12)
    campaign = bench.campaign()
    a, wait, b, c = bench.sequence(campaign, {}, TWO_DAYS, {}, {})
    bench.activate(campaign)
    bench.work()
    rows: dict[str, dict[str, Any]] = {
        "a": {"id": a},
        "wait": {"id": wait, **TWO_DAYS},
        "b": {"id": b},
        "c": {"id": c},
    }
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
    assert "no active touchpoint" in (bench.job(job).waits_reason or "")
    with bench.database.begin() as session:
        session.execute(update(Touchpoint).values(status="active"))
    bench.run_out(step=31)
    assert {"success": 3} == bench.statuses()


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
