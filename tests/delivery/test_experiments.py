"""A/B tests over a real delivery: the sample first, then a decision, then everybody else; nobody of the holdout."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from sqlalchemy import select

from engine.campaigns import experiments, lifecycle
from engine.campaigns.experiments import ExperimentInput, create_experiment, find_experiment, start_experiment
from engine.kernel.inputs import Invalid, read
from state.errors import NotFound
from state.sampling import PLACES, place
from state.tables import Campaign, DeliveryHour, EngagementHour, Event, Experiment, Touchpoint

if TYPE_CHECKING:
    from tests.delivery.kit import Bench

VARIANTS = [
    {"id": "a", "weight": 50, "content": {"text": "A"}},
    {"id": "b", "weight": 50, "content": {"text": "B"}},
]


def with_variants(bench: Bench) -> UUID:
    campaign = bench.campaign()
    with bench.database.begin() as session:
        session.execute(select(Touchpoint)).scalar_one().variants = VARIANTS
    return campaign


def begin(bench: Bench, campaign: UUID, **values: Any) -> None:
    given = {
        "name": "Subject",
        "metric": "clicked",
        "sample": 30,
        "holdout": 10,
        "decide_after_hours": 10,
        **values,
    }
    with bench.runtime.transaction() as session:
        create_experiment(session, bench.org_id, campaign, read(ExperimentInput, given))
        start_experiment(session, bench.org_id, campaign, window=3)


def found(bench: Bench, campaign: UUID) -> Experiment:
    with bench.database.read() as session:
        row = find_experiment(session, bench.org_id, campaign)
        assert row is not None
        return row


def measured(bench: Bench, campaign: UUID, sent: int, **clicks: int) -> None:
    """What roll-ups would say of a large sample."""
    with bench.database.begin() as session:
        step = session.execute(select(Touchpoint.id)).scalar_one()
        hour = bench.database.clock.now().replace(minute=0, second=0, microsecond=0)
        for variant, clicked in clicks.items():
            key = {
                "org_id": bench.org_id,
                "campaign_id": campaign,
                "hour": hour,
                "touchpoint_id": step,
                "variant": variant,
                "target_id": UUID(int=9),
            }
            session.add(DeliveryHour(**key, sent=sent))
            numbers = {"events": clicked, "recipients": clicked, "touchpoint_recipients": clicked}
            session.add(EngagementHour(**key, channel="email", kind="clicked", currency="", **numbers))


def places(campaign: UUID, people: list[UUID]) -> dict[UUID, float]:
    """Everybody's place in the audience, in percent."""
    return {key: 100 * place(campaign.hex, key.hex) / PLACES for key in people}


def test_sample_then_winner_for_the_rest_and_nobody_of_the_holdout(bench: Bench) -> None:
    people = bench.entities(120)
    campaign = with_variants(bench)
    begin(bench, campaign)
    bench.work()
    at = places(campaign, people)
    assert {key for key in people if at[key] < 30} == set(bench.channel.sent())
    measured(bench, campaign, 5000, a=500, b=700)
    bench.clock.forward(hours=5.1)
    bench.run_out()
    row = found(bench, campaign)
    assert ("decided", "b") == (row.status, row.winner)
    assert {key: 1 for key in people if at[key] < 90} == bench.channel.sent()
    recipients = bench.recipients()
    held = {key for key, one in recipients.items() if one.error_code == "HOLDOUT"}
    assert {key for key in people if at[key] >= 90} == held
    assert {"cancelled"} == {recipients[key].automation_status for key in held}
    assert Counter(success=120 - len(held), cancelled=len(held)) == bench.statuses()
    bench.check_counters(campaign)
    with bench.database.read() as session:
        touchpoint = session.execute(select(Touchpoint)).scalar_one()
        assert {"a": 0, "b": 1} == {one["id"]: one["weight"] for one in touchpoint.variants or ()}
        told = session.execute(select(Event.data).where(Event.name == "experiment.decided")).scalar_one()
    assert ("b", "decided") == (told["winner"], told["status"])


@pytest.mark.parametrize(("rule", "winner"), [("split", None), ("leader", "b")])
def test_without_a_winner_the_rest_is_sent_at_the_end(bench: Bench, rule: str, winner: str | None) -> None:
    people = bench.entities(60)
    campaign = with_variants(bench)
    begin(bench, campaign, holdout=0, when_inconclusive=rule)
    bench.work()
    measured(bench, campaign, 1000, a=100, b=115)  # the sample itself counts as well
    for _ in range(9):
        bench.clock.forward(hours=1)
        bench.sweep_and_work()
        assert "running" == found(bench, campaign).status
    assert len(bench.channel.sent()) < 60
    bench.clock.forward(hours=1.1)
    bench.run_out()
    row = found(bench, campaign)
    assert ("inconclusive", winner) == (row.status, row.winner)
    assert experiments.LOOKS == row.looks
    assert set(people) == set(bench.channel.sent())


def test_a_decision_waits_for_a_paused_campaign_and_is_not_lost(bench: Bench) -> None:
    people = bench.entities(60)
    campaign = with_variants(bench)
    begin(bench, campaign, holdout=0)
    bench.work()
    with bench.runtime.transaction() as session:
        lifecycle.pause(session, bench.org_id, campaign)
    measured(bench, campaign, 5000, a=500, b=700)
    bench.clock.forward(hours=11)
    bench.sweep_and_work()
    row = found(bench, campaign)
    assert ("running", "b") == (row.status, row.winner)
    with bench.database.begin() as session:
        session.get_one(Campaign, campaign).status = "active"
    bench.clock.forward(seconds=31)
    bench.run_out()
    assert ("decided", 1) == (found(bench, campaign).status, found(bench, campaign).looks)
    assert set(people) == set(bench.channel.sent())


@pytest.mark.parametrize("ended", ["cancelled", "sent to everybody"])
def test_with_nobody_left_the_decision_stands_by_itself(bench: Bench, ended: str) -> None:
    bench.entities(20)
    campaign = with_variants(bench)
    begin(bench, campaign, holdout=0, sample=30 if ended == "cancelled" else 100)
    bench.work()
    sent = len(bench.channel.sent())
    measured(bench, campaign, 5000, a=500, b=700)
    if ended == "cancelled":
        with bench.runtime.transaction() as session:
            lifecycle.cancel(session, bench.org_id, campaign)
    bench.clock.forward(hours=11)
    bench.sweep_and_work()
    row = found(bench, campaign)
    assert ("decided", "b", None) == (row.status, row.winner, row.next_look_at)
    assert sent == len(bench.channel.sent())


def test_what_cannot_be_tested_is_refused(bench: Bench) -> None:
    bench.entities(5)
    campaign = bench.campaign()
    plain = read(ExperimentInput, {"name": "x"})

    def refused(match: str, given: ExperimentInput = plain, at: UUID = campaign) -> None:
        with pytest.raises(Invalid, match=match), bench.runtime.transaction() as session:
            create_experiment(session, bench.org_id, at, given)

    refused("touchpoint_id: there is no touchpoint with two variants")
    with pytest.raises(Invalid, match="more than the audience"):
        read(ExperimentInput, {"name": "x", "sample": 80, "holdout": 30})
    with bench.database.begin() as session:
        session.execute(select(Touchpoint)).scalar_one().variants = VARIANTS
    begin(bench, campaign)
    refused("campaign: is activating")
    with pytest.raises(Invalid, match="its A/B test is running"), bench.runtime.transaction() as session:
        start_experiment(session, bench.org_id, campaign, window=3)
    with pytest.raises(NotFound), bench.runtime.transaction() as session:
        create_experiment(session, UUID(int=5), campaign, plain)


def test_looks_are_spread_evenly(bench: Bench) -> None:
    bench.entities(5)
    campaign = with_variants(bench)
    begin(bench, campaign)
    started = found(bench, campaign).started_at
    assert started is not None
    assert started + timedelta(hours=2) == found(bench, campaign).next_look_at
    bench.clock.forward(hours=3.5)
    bench.sweep_and_work()
    assert started + timedelta(hours=4) == found(bench, campaign).next_look_at
