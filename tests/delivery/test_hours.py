"""Sums by the hour, and the history that they are recounted from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from engine.channels.port import Delivered
from state.tables import (
    DeliveryHour,
    Execution,
    Recipient,
)
from tests.delivery.accounts import check

if TYPE_CHECKING:
    from tests.delivery.kit import Bench


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
