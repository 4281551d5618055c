"""Entities that change join the running campaigns whose target they now match, once."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select, update

from engine.campaigns import lifecycle
from engine.delivery.enrol import enrol, guard
from state.tables import Entity, Job, Recipient, Target

if TYPE_CHECKING:
    from uuid import UUID

    from tests.delivery.kit import Bench


def write(bench: Bench, ids: list[UUID], **attributes) -> int:
    """Give entities these attributes, and enrol them, as every writer of entities does."""
    with bench.runtime.transaction() as session:
        guard(session, bench.org_id, activates=False)
        # In one order, as every writer does: two at once wait for each other, never in a circle.
        session.execute(select(Entity.id).where(Entity.id.in_(ids)).order_by(Entity.id).with_for_update())
        session.execute(update(Entity).where(Entity.id.in_(ids)).values(attributes=attributes))
        return enrol(session, bench.org_id, "contact", ids)


@pytest.fixture
def running(bench: Bench) -> UUID:
    """A campaign that goes on after its first delivery, and has reached everybody there was."""
    bench.entities(12)
    campaign = bench.campaign(ends="when_told")
    bench.activate(campaign)
    bench.work()
    assert "active" == bench.campaign_status(campaign)
    return campaign


def test_newcomers_are_delivered_to_once(bench: Bench, running: UUID) -> None:
    people = bench.entities(25)
    assert 25 == write(bench, people, email="new@example.com")
    assert 0 == write(bench, people, email="newer@example.com")
    bench.work()
    assert Counter(people) == Counter(
        {key: count for key, count in bench.channel.sent().items() if key in people}
    )
    assert {"success": 37} == bench.statuses()
    bench.check_counters(running)
    assert "active" == bench.campaign_status(running)


def test_who_no_longer_matches_stays(bench: Bench, running: UUID) -> None:
    people = bench.entities(3)
    write(bench, people, email="x@example.com")
    write(bench, people, email="")
    bench.work()
    assert 15 == sum(bench.statuses().values())


def test_who_does_not_match_is_not_enrolled(bench: Bench, running: UUID) -> None:
    assert 0 == write(bench, bench.entities(3), email="")
    assert 12 == len(bench.recipients())


def test_a_target_that_lost_its_filters_enrols_nobody(bench: Bench, running: UUID) -> None:
    with bench.runtime.transaction() as session:
        session.execute(update(Target).values(entity_filters=None))
    assert 0 == write(bench, bench.entities(3), email="x@example.com")
    assert 12 == len(bench.recipients())


def test_a_target_that_lost_its_filters_before_the_plan_lets_nobody_in(bench: Bench) -> None:
    bench.entities(5)
    campaign = bench.campaign()
    bench.activate(campaign)
    with bench.runtime.transaction() as session:
        session.execute(update(Target).values(entity_filters={"filter": {"items": [], "combination": "AND"}}))
    bench.work()
    assert not bench.recipients()


def test_campaigns_that_do_not_run_enrol_nobody(bench: Bench) -> None:
    campaign = bench.campaign(ends="when_told")
    assert 0 == write(bench, bench.entities(3), email="x@example.com")  # a draft
    bench.activate(campaign)
    bench.work()
    with bench.runtime.transaction() as session:
        lifecycle.deactivate(session, bench.org_id, campaign)
    bench.work()
    assert 0 == write(bench, bench.entities(3), email="x@example.com")


def test_a_paused_campaign_enrols_and_waits(bench: Bench) -> None:
    bench.entities(40)
    campaign = bench.campaign(ends="when_told")
    bench.activate(campaign)
    bench.work(most=2)
    with bench.runtime.transaction() as session:
        lifecycle.pause(session, bench.org_id, campaign)
    late = bench.entities(4)
    assert 4 == write(bench, late, email="x@example.com")
    bench.work()
    assert not set(late) & set(bench.channel.sent())
    with bench.runtime.transaction() as session:
        lifecycle.resume(session, bench.org_id, campaign, window=3)
    bench.work()
    assert {"success": 44} == bench.statuses()
    bench.check_counters(campaign)


def test_changes_join_the_open_job(bench: Bench, running: UUID) -> None:
    for _ in range(5):
        write(bench, bench.entities(2), email="x@example.com")
    with bench.database.read() as session:
        assert 1 == session.execute(select(func.count()).where(Job.kind == "enrolment")).scalar_one()
    bench.work()
    assert {"success": 22} == bench.statuses()


def test_eight_importers_at_once_enrol_everybody_once(bench: Bench, running: UUID) -> None:
    people = bench.entities(200)
    start = Barrier(8)

    def importer(_: int) -> int:
        start.wait()
        return sum(write(bench, people[i : i + 25], email="x@example.com") for i in range(0, 200, 25))

    with ThreadPoolExecutor(8) as pool:
        assert 200 == sum(pool.map(importer, range(8)))
    bench.work()
    assert {"success": 212} == bench.statuses()
    assert {1} == set(bench.channel.sent().values())
    bench.check_counters(running)


def test_activation_at_the_same_moment_misses_nobody(bench: Bench) -> None:
    """A writer that cannot have seen the activation is waited for, so that the plan sees what it wrote."""
    campaign = bench.campaign(ends="when_told")
    if not bench.database.dialect.has_many_writers:
        return  # one writer at a time
    people = bench.entities(5, email="")
    with ThreadPoolExecutor(1) as pool:
        with bench.runtime.transaction() as session:
            guard(session, bench.org_id, activates=False)
            session.execute(update(Entity).values(attributes={"email": "late@example.com"}))
            assert 0 == enrol(session, bench.org_id, "contact", people)
            activation = pool.submit(bench.activate, campaign)
            with pytest.raises(TimeoutError):
                activation.result(timeout=0.3)
        activation.result(timeout=10)
    bench.work()
    assert 5 == len(bench.recipients())
    with bench.database.read() as session:
        assert 5 == session.execute(select(func.count()).select_from(Recipient)).scalar_one()
