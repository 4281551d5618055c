"""When the last of some messages leaves: rates, hours, and both; and how long a run is expected to take."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.insight.forecast import Ceiling, departures, last_leaves_at
from engine.limits.config import CampaignLimits
from engine.limits.hours import Hours

#: A Monday.
BEGIN = datetime(2026, 11, 2, 10, 0, tzinfo=UTC)
DAY = timedelta(days=1)
FAST = 1e6


def hours(**limits: Any) -> Hours:
    return Hours([CampaignLimits.model_validate(limits)])


def test_a_pace_alone() -> None:
    assert last_leaves_at(BEGIN, {"UTC": 1000}, pace=10) == BEGIN + timedelta(seconds=100)
    assert last_leaves_at(BEGIN, {}, pace=10) == BEGIN
    assert list(departures(BEGIN, {}, pace=10)) == []


@pytest.mark.parametrize(("left", "days"), [(1, 0), (4, 3), (400, 399)])
def test_one_a_day(left: int, days: int) -> None:
    """The first has its permit at `begin`."""
    found = last_leaves_at(BEGIN, {"UTC": left}, pace=FAST, ceilings=[Ceiling(1 / 86_400)])
    assert found is not None
    assert abs(found - BEGIN - days * DAY) < timedelta(minutes=1)


def test_the_slowest_rate_counts_for_as_long_as_it_lasts() -> None:
    slow = Ceiling(1, BEGIN + timedelta(seconds=100))
    found = last_leaves_at(BEGIN, {"UTC": 1100}, pace=FAST, ceilings=[Ceiling(10), slow])
    assert found is not None
    assert abs(found - BEGIN - timedelta(seconds=200)) < timedelta(seconds=2)


def test_only_in_open_hours() -> None:
    """Eight hours a day at one a minute are 480 messages; two are gone of the first day."""
    window = hours(send_windows=[{"from": "08:00", "to": "16:00"}])
    per_minute = [Ceiling(1 / 60)]
    found = last_leaves_at(BEGIN, {"UTC": 360 + 480 + 1}, pace=FAST, ceilings=per_minute, hours=window)
    assert found == datetime(2026, 11, 4, 8, 0, tzinfo=UTC)
    rare = last_leaves_at(BEGIN, {"UTC": 4}, pace=FAST, ceilings=[Ceiling(1 / 86_400)], hours=window)
    assert rare is not None
    assert abs(rare - BEGIN - 3 * DAY) < timedelta(minutes=1)


def test_each_zone_has_its_own_hours() -> None:
    morning = hours(send_windows=[{"from": "09:00", "to": "10:00"}])
    crowd = {"Europe/Berlin": 10, "America/New_York": 10}
    found = last_leaves_at(BEGIN, crowd, pace=FAST, hours=morning)
    assert found is not None
    assert datetime(2026, 11, 3, 8, 0, tzinfo=UTC) <= found <= datetime(2026, 11, 3, 8, 1, tzinfo=UTC)
    only_west = last_leaves_at(BEGIN, {"America/New_York": 10}, pace=FAST, hours=morning)
    assert only_west is not None
    assert only_west - datetime(2026, 11, 2, 14, 0, tzinfo=UTC) < timedelta(minutes=1)


def test_quiet_nights_and_a_clock_that_changes() -> None:
    night = hours(quiet_hours=[{"from": "21:00", "to": "08:00"}])
    begin = datetime(2026, 3, 28, 20, 0, tzinfo=UTC)  # Berlin: 21:00, the night before summer time
    found = last_leaves_at(begin, {"Europe/Berlin": 1}, pace=FAST, hours=night)
    assert found is not None
    assert datetime(2026, 3, 29, 6, 0, tzinfo=UTC) <= found < datetime(2026, 3, 29, 6, 1, tzinfo=UTC)


def test_nobody_plans_for_longer_than_ten_years() -> None:
    assert last_leaves_at(BEGIN, {"UTC": 10_000}, pace=FAST, ceilings=[Ceiling(1 / 86_400)]) is None
    never = Hours([CampaignLimits.model_construct(send_windows=(), quiet_hours=())])
    assert last_leaves_at(BEGIN, {"UTC": 1}, pace=1, hours=never) == BEGIN + timedelta(seconds=1)


def test_how_messages_leave_is_told_from_one_change_to_the_next() -> None:
    slow = Ceiling(1, BEGIN + timedelta(seconds=100))
    found = list(departures(BEGIN, {"UTC": 1100}, pace=FAST, ceilings=[Ceiling(10), slow]))
    assert [part.messages for part in found if part] == [100, 1000]
    assert [part.begin for part in found if part] == [BEGIN, BEGIN + timedelta(seconds=100)]
    assert found[-1] is not None
    assert found[-1].end == BEGIN + timedelta(seconds=200)
    never = list(departures(BEGIN, {"UTC": 10_000}, pace=FAST, ceilings=[Ceiling(1 / 86_400)]))
    assert never[-1] is None
