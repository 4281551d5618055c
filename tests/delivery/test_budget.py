"""A campaign whose budget is spent stops, says why, and goes on when the budget is raised."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import select

from engine.campaigns import budget, lifecycle
from engine.channels.port import Delivered, Rejected
from engine.insight.statistics import statistics
from state.tables import Campaign, Channel, DeliveryHour, Event, Touchpoint

if TYPE_CHECKING:
    from tests.delivery.kit import Bench


def costs(bench: Bench, campaign: UUID, cost: float) -> None:
    """What roll-ups say it has cost by now."""
    with bench.database.begin() as session:
        session.add(
            DeliveryHour(
                org_id=bench.org_id,
                campaign_id=campaign,
                hour=bench.database.clock.now(),
                touchpoint_id=session.execute(select(Touchpoint.id)).scalar_one(),
                target_id=UUID(int=3),
                sent=1,
                cost=cost,
            )
        )


def test_a_campaign_whose_budget_is_spent_is_paused_and_goes_on_when_it_is_raised(bench: Bench) -> None:
    people = bench.entities(60)
    campaign = bench.campaign(budget=10.0)
    bench.activate(campaign)
    bench.work(most=2)
    costs(bench, campaign, 9.99)
    assert 0 == budget.pause_spent(bench.runtime)
    bench.clock.forward(hours=1)
    costs(bench, campaign, 0.02)
    assert 1 == budget.pause_spent(bench.runtime)
    with bench.runtime.transaction() as session:
        assert 10.01 == round(budget.spent(session, bench.org_id, campaign), 2)
    assert "paused" == bench.campaign_status(campaign)
    sent = len(bench.channel.sent())
    bench.sweep_and_work()
    assert sent == len(bench.channel.sent())
    with bench.database.begin() as session:
        row = session.get_one(Campaign, campaign)
        assert "budget" == row.paused_by
        row.budget = 20.0
        told = session.execute(select(Event.data).where(Event.name == "campaign.paused")).scalar_one()
    assert {"by": "budget"} == told
    with bench.runtime.transaction() as session:
        lifecycle.resume(session, bench.org_id, campaign, window=3)
    bench.run_out()
    assert set(people) == set(bench.channel.sent())


def test_campaigns_without_budget_are_left_alone(bench: Bench) -> None:
    bench.entities(10)
    campaign = bench.campaign()
    bench.activate(campaign)
    bench.work(most=1)
    costs(bench, campaign, 1_000_000)
    assert 0 == budget.pause_spent(bench.runtime)


def test_roll_ups_and_costs_equal_a_recount(bench: Bench) -> None:
    people = bench.entities(60)
    bad = set(people[:9])
    bench.channel.answer = lambda message: (
        Rejected("SMTP_550", "no such mailbox") if message.entity_id in bad else Delivered()
    )
    campaign = bench.campaign()
    with bench.database.begin() as session:
        session.execute(select(Channel)).scalar_one().cost_per_message = 0.04
    bench.activate(campaign)
    bench.run_out()
    with bench.database.read() as session:
        counts = statistics(session, bench.org_id, campaign).overview
    statuses = bench.statuses()
    assert (statuses["success"], statuses["failed"]) == (counts.sent, counts.failed) == (51, 9)
    assert 2.04 == round(counts.cost, 6)
