"""A channel that is warmed up sends so many messages a day; the others wait for tomorrow, or go over its fallback."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from engine.insight.waiting import situation_of, waiting_of
from engine.limits.config import ChannelLimits, WarmUp
from state.tables import Campaign, Channel, ChannelDay

if TYPE_CHECKING:
    from tests.conftest import ManualClock
    from tests.limits.conftest import LimitedBench

FIRST = date(2026, 3, 2)


def test_a_days_ceiling_grows() -> None:
    warm_up = WarmUp(start=FIRST, messages=200, growth=1.5, most=1000)
    days = [warm_up.ceiling(FIRST + timedelta(days=day)) for day in (-3, 0, 1, 2, 3, 4, 5000)]
    assert [200, 200, 300, 450, 675, 1000, 1000] == days
    assert WarmUp(start=FIRST, messages=200).ceiling(FIRST + timedelta(days=5000)) > 10**9
    for wrong in ({"messages": 0}, {"growth": 0.5}, {"start": "soon"}, {"most": 0}):
        with pytest.raises(ValidationError):
            ChannelLimits.model_validate({"warm_up": {"start": "2026-03-02", "messages": 5, **wrong}})


def test_what_is_beyond_today_waits_for_tomorrow(bench: LimitedBench, clock: ManualClock) -> None:
    """At no attempt, and every view says until when; two campaigns share the day."""
    bench.entities(35)
    campaign = bench.campaign(max_attempts=1)
    bench.limit_channel(warm_up={"start": "2026-03-02", "messages": 12, "growth": 2})
    bench.activate(campaign)
    for _ in range(5):
        bench.sweep_and_work()
        clock.forward(seconds=5)
    assert 12 == len(bench.channel.journal)
    assert {"success": 12, "pending": 23} == bench.statuses()
    with bench.database.read() as session:
        told = waiting_of(session, situation_of(session, session.get_one(Campaign, campaign)))
        (day,) = session.query(ChannelDay)
    waits = next(one for one in told if one.code == "warm_up")
    assert waits.until is not None
    assert (FIRST + timedelta(days=1), 0) == (waits.until.date(), waits.until.hour)
    assert "12 messages today" in waits.reason
    assert (FIRST, 12) == (day.day, day.messages)
    bench.run_out(step=3600)
    assert {"success": 35} == bench.statuses()
    assert all(row.attempt == 1 for row in bench.recipients().values())
    with bench.database.read() as session:
        days = {row.day: row.messages for row in session.query(ChannelDay)}
    assert {FIRST: 12, FIRST + timedelta(days=1): 23} == days


def test_what_is_beyond_today_goes_over_the_fallback(bench: LimitedBench, clock: ManualClock) -> None:
    """At once."""
    bench.entities(35)
    campaign = bench.campaign(max_attempts=1)
    bench.limit_channel(warm_up={"start": "2026-03-02", "messages": 12})
    own = bench.channel_id()
    other = bench.second_channel()
    with bench.database.begin() as session:
        session.get_one(Channel, own).fallback_channel_id = other
    bench.activate(campaign)
    for _ in range(20):
        bench.sweep_and_work()
        clock.forward(seconds=5)
    assert {"success": 35} == bench.statuses()
    assert 12 == len(bench.channel.journal)
    assert 23 == len(bench.senders.others[other].journal)


def test_days_that_are_over_are_forgotten(bench: LimitedBench, clock: ManualClock) -> None:
    """After a week, by the sweeper; today's count stays."""
    bench.entities(30)
    campaign = bench.campaign()
    bench.limit_channel(warm_up={"start": "2026-03-02", "messages": 10, "growth": 1})
    bench.activate(campaign)
    for _ in range(3):
        bench.sweep_and_work()
        clock.forward(days=1)
    clock.forward(days=5)
    bench.sweep_and_work()
    with bench.database.read() as session:
        days = [row.day for row in session.query(ChannelDay).order_by(ChannelDay.day)]
    assert [FIRST + timedelta(days=1), FIRST + timedelta(days=2)] == days
