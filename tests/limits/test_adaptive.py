"""Slowing down at once, recovering with time; and threads that wait in turns."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from uuid import uuid4

import pytest

from engine.limits.adaptive import (
    FOUND_KEPT,
    LONGEST_PAUSE,
    RECOVERY,
    Slowdown,
    UseClock,
    find_rate,
    pause,
    slow_down,
)
from engine.limits.buckets import Bucket, Denied
from engine.limits.redis_buckets import RedisBuckets
from engine.limits.waiting_slots import WaitingSlots

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def test_half_of_what_was_allowed_and_never_nothing():
    assert slow_down(100, 3) == 50
    assert slow_down(0.1, 3) == 0.2
    assert slow_down(None, 500) == 250
    assert slow_down(None, 3) == 10, "where nothing was configured it begins with ten a second"


def held_to(slowed: Slowdown, seconds: float, *, ceiling: float | None = None) -> float:
    """Messages a second after so many seconds, while it holds back."""
    rate = slowed.rate_at(NOW + timedelta(seconds=seconds), ceiling=ceiling)
    assert rate is not None
    return rate


def test_it_grows_with_time_until_nothing_is_held_back():
    slowed = Slowdown(50, NOW)
    rates = [held_to(slowed, s, ceiling=100) for s in (0, 60, 120, 290)]
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
    assert (17, 19) == pytest.approx(find_rate(None, 20, again=False))
    assert (1.7, 1.9) == pytest.approx(find_rate(None, 2, again=False))
    for little, shared in ((0, False), (0, True), (2, True)):
        begun = find_rate(None, little, again=False, shared=shared)
        assert (8.5, 9.5) == pytest.approx(begun), "what others were taken of it is not known"
    assert (8.5, 9.7) == pytest.approx(find_rate(10, 3, again=False))
    assert (6, 9) == pytest.approx(find_rate(10, 3, again=True))
    assert 0 < find_rate(0.001, 0, again=True).rate <= 1 / 60
    found = Slowdown(8.5, NOW, found=True, returns_to=9.7)
    rates = [held_to(found, s) for s in (0, 4, 8, 14, 68, 600)]
    assert rates == sorted(rates)
    assert 8.5 == rates[0]
    assert 9.5 < rates[1] < 9.7, "it soon comes back"
    assert 9.7 == pytest.approx(rates[2])
    assert rates[3] < 12, "and stays there"
    assert rates[4] > 9.7 * 6, "then faster"
    assert found.rate_at(NOW + timedelta(seconds=60), ceiling=50) is None, "what is configured holds"
    assert found.rate_at(NOW + FOUND_KEPT, ceiling=None) is None


def test_a_slow_rate_comes_back_slowly_and_none_grows_while_nothing_is_sent():
    """Five a minute are tried again in minutes, not seconds; a pause tells nothing."""
    slow = Slowdown(0.08, NOW, found=True, returns_to=0.09)
    assert held_to(slow, 30) < 0.09
    assert 0.09 == pytest.approx(slow.rate_at(NOW + timedelta(seconds=75), ceiling=None))
    paused = Slowdown(10, NOW, found=True, returns_to=12, resumes_at=NOW + timedelta(minutes=5))
    assert 10 == paused.rate_at(NOW + timedelta(minutes=5), ceiling=None)


def test_a_rate_that_was_found_grows_only_while_it_is_used():
    """What stood still for minutes, because its worker was killed say, goes on at the rate that is known."""
    found, now, channel = Slowdown(17, NOW, found=True, returns_to=19), 0.0, uuid4()
    clock, beside = UseClock(lambda: now), UseClock(lambda: now)

    def rate(clock: UseClock | None) -> float:
        at = NOW + timedelta(seconds=now)
        used = None if clock is None else clock.use(channel, found, at)
        allowed = found.rate_at(at, ceiling=None, used=used)
        assert allowed is not None
        return allowed

    while now < 40:
        assert rate(None) == pytest.approx(rate(clock)), "in use it grows as it would"
        now += 0.1
    reached = rate(clock)
    assert reached > 1.5 * 19
    now += 600
    assert reached < rate(clock) < 1.1 * reached, "a pause adds next to nothing, and forgets nothing"
    assert 19 == pytest.approx(rate(beside)), "another process begins at what is known"


class SlidingWindow:
    """A provider that takes so many messages within any so many seconds."""

    def __init__(self, rate: int, per: float) -> None:
        self._rate, self._per, self._times = rate, per, deque[float]()

    def takes(self, at: float) -> bool:
        while self._times and at - self._times[0] >= self._per:
            self._times.popleft()
        taken = len(self._times) < self._rate
        if taken:
            self._times.append(at)
        return taken


class FixedWindow(SlidingWindow):
    """One that counts from full second to full second."""

    def takes(self, at: float) -> bool:
        self._times = deque(t for t in self._times if t // self._per == at // self._per)
        return super().takes(at)


@pytest.mark.parametrize("provider", [SlidingWindow, FixedWindow])
@pytest.mark.parametrize(("rate", "per"), [(2, 1), (14, 1), (100, 1)])
def test_the_found_rate_is_near_the_allowed_one(provider, rate, per):
    """A sender that keeps to it needs at most 1.3 times as long as the provider allows."""
    size, ideal = 1500, rate / per
    found: Slowdown | None = None
    takes = provider(rate, per).takes
    now = last = 0.0
    taken = [0.0]
    left = size
    while left:
        at = NOW + timedelta(seconds=now)
        allowed = None if found is None else found.rate_at(at, ceiling=None)
        if takes(now):
            left -= 1
            taken.append(now)
        else:
            observed = sum(1 for t in taken if t > now - 1)
            if allowed is None or now - last >= 1:
                again = allowed is not None and now - last < max(3, 4 / allowed)
                lower = find_rate(allowed, observed, again=again)
                found = Slowdown(lower.rate, at, found=True, returns_to=lower.returns_to)
                now, last = (now + 1, now + 1) if allowed is None else (now, now)
            assert found is not None
            allowed = found.rate_at(at, ceiling=None)
        now += 0.002 if allowed is None else 1 / allowed
    assert now <= 1.3 * size / ideal


@pytest.mark.parametrize(("threads", "wave", "times"), [(1, 0.05, 1.2), (8, 0.05, 1.2), (8, 0.3, 1.25)])
def test_workers_keep_near_the_rate_by_their_leases(threads, wave, times):
    """Waves of so many seconds each, with the leases that workers really take: of 600 at 14 a second two messages each.
    Several threads wait for their leases side by side, so that slow waves cost little.
    """
    rate, left, now = 14, 600, 1.0
    takes, taken = SlidingWindow(rate, 1).takes, deque[float]()
    buckets, org = RedisBuckets("embedded://", now=lambda: now * 1000), uuid4()
    found, last = None, 0.0
    ready = [now] * threads
    while left:
        now = heappop(ready)
        allowed = None if found is None else found.rate_at(NOW + timedelta(seconds=now), ceiling=None)
        permits, begins = min(10, left), now
        if allowed is not None:
            lease = buckets.take(org, [Bucket("channel", allowed)], unlimited=left)
            if isinstance(lease, Denied):
                heappush(ready, now + lease.wait)
                continue
            permits, begins = lease.permits, now + lease.wait
        leaves = max(begins, now + wave / 2)
        given = sum(takes(leaves) for _ in range(permits))
        taken.extend([leaves] * given)
        left -= given
        ends = leaves + wave / 2
        heappush(ready, ends)
        if given < permits and (found is None or ends - last >= 1):
            at = NOW + timedelta(seconds=ends)
            allowed = None if found is None else found.rate_at(at, ceiling=None)
            again = allowed is not None and ends - last < max(3, 4 / allowed)
            observed = sum(ends - 1 <= time <= ends for time in taken)
            lower = find_rate(allowed, observed, again=again)
            if found is None:
                now = ends
                buckets.begin_empty(org, Bucket("channel", lower.rate))
            found, last = Slowdown(lower.rate, at, found=True, returns_to=lower.returns_to), ends
    buckets.close()
    assert now - 1 <= times * 600 / rate
