"""Slowing down at once, recovering with time; and threads that wait in turns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from engine.limits.adaptive import (
    FOUND_KEPT,
    LONGEST_PAUSE,
    RECOVERY,
    Slowdown,
    find_rate,
    pause,
    slow_down,
)
from engine.limits.waiting_slots import WaitingSlots

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def test_half_of_what_was_allowed_and_never_nothing():
    assert slow_down(100, 3) == 50
    assert slow_down(0.1, 3) == 0.2
    assert slow_down(None, 500) == 250
    assert slow_down(None, 3) == 10, "where nothing was configured it begins with ten a second"


def test_it_grows_with_time_until_nothing_is_held_back():
    slowed = Slowdown(50, NOW)
    rates = [slowed.rate_at(NOW + timedelta(seconds=s), ceiling=100) for s in (0, 60, 120, 290)]
    assert rates[0] == 50
    assert rates == sorted(rates)
    assert slowed.rate_at(NOW + timedelta(seconds=301), ceiling=100) is None
    assert slowed.rate_at(NOW + timedelta(seconds=100), ceiling=None) == 150
    assert slowed.rate_at(NOW + RECOVERY, ceiling=None) is None
    assert slowed.rate_at(NOW - timedelta(seconds=5), ceiling=None) == 50


def test_pauses_double_up_to_a_bound_and_what_the_provider_says_counts():
    pauses = [pause(None)]
    for _ in range(10):
        pauses.append(pause(None, last=pauses[-1]))
    assert pauses[:3] == [timedelta(seconds=10), timedelta(seconds=20), timedelta(seconds=40)]
    assert max(pauses) == LONGEST_PAUSE
    assert pause(3.5, last=pauses[-1]) == timedelta(seconds=3.5)


@pytest.mark.parametrize(("threads", "slots"), [(1, 1), (2, 1), (4, 3), (8, 7)])
def test_some_thread_is_left_for_who_needs_no_permits(threads, slots):
    found = WaitingSlots(threads)
    job = uuid4()
    assert [found.enter(job, 0) for _ in range(slots + 1)] == [True] * slots + [False]
    found.leave()
    assert found.enter(job, 0)


def test_who_was_turned_away_is_next():
    slots = WaitingSlots(2)
    first, second, third = uuid4(), uuid4(), uuid4()
    assert slots.enter(first, 0)
    assert not slots.wanted(first, 0)
    assert not slots.enter(second, 0)
    assert not slots.enter(third, 1)
    assert slots.wanted(first, 1)
    slots.leave()
    assert not slots.enter(first, 2), "others came before"
    assert not slots.enter(third, 2)
    assert slots.enter(second, 2)
    slots.leave()
    assert slots.enter(third, 3)


def test_a_seat_is_not_kept_for_ever():
    slots = WaitingSlots(2)
    gone, here = uuid4(), uuid4()
    assert slots.enter(here, 0)
    assert not slots.enter(gone, 0)
    slots.leave()
    assert not slots.enter(here, 5)
    assert slots.enter(here, 7)


def test_a_channel_finds_a_rate_and_comes_back_to_it():
    assert 17 == find_rate(None, 20, again=False)
    assert 8.5 == pytest.approx(find_rate(10, 3, again=False))
    assert 6 == pytest.approx(find_rate(10, 3, again=True))
    assert 0 < find_rate(0.001, 0, again=True) <= 1 / 60
    found = Slowdown(10, NOW, found=True)
    rates = [found.rate_at(NOW + timedelta(seconds=s), ceiling=None) for s in (0, 5, 10, 60, 600)]
    assert rates == sorted(rates)
    assert 10 == rates[0]
    assert rates[2] < 13, "slowly at first"
    assert 10 * 6 == pytest.approx(rates[3]), "then faster"
    assert found.rate_at(NOW + timedelta(seconds=60), ceiling=50) is None, "what is configured holds"
    assert found.rate_at(NOW + FOUND_KEPT, ceiling=None) is None
