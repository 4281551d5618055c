"""Numbers that textbooks give, and error rates that hold over many looks."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as some

from engine.campaigns.experiments import LOOKS
from engine.insight.significance import Arm, interval, look, p_value, spendable


def test_wilsons_interval() -> None:
    """Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29."""
    for successes, trials, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        assert (low, high) == tuple(round(bound, 4) for bound in interval(successes, trials))
    assert (0.0, 1.0) == interval(0, 0)


@given(some.integers(0, 10_000), some.integers(0, 10_000))
def test_an_interval_holds_its_rate(successes: int, trials: int) -> None:
    low, high = interval(successes, trials)
    assert 0 <= low <= high <= 1
    if trials:
        assert low - 1e-12 <= min(successes, trials) / trials <= high + 1e-12


def test_two_proportions() -> None:
    """By hand: 100/1000 against 130/1000, pooled 0.115, spread 0.014267, z 2.1027."""
    assert 0.0355 == pytest.approx(p_value(Arm("a", 1000, 100), Arm("b", 1000, 130)), abs=0.0001)
    assert 1.0 == p_value(Arm("a", 1000, 100), Arm("b", 1000, 100))
    assert 1.0 == p_value(Arm("a", 0, 0), Arm("b", 1000, 100))
    assert 1.0 == p_value(Arm("a", 10, 10), Arm("b", 10, 10))


def test_spending_grows_to_the_error_rate_and_not_beyond() -> None:
    shares = [spendable(number / 50, alpha=0.05) for number in range(60)]
    assert 0 == shares[0]
    assert all(before <= after for before, after in pairwise(shares))
    assert 0.05 == shares[-1] == shares[50]
    assert shares[10] < 0.0005, "almost nothing early"


def simulate(seed: int, rates: dict[str, float], people: int) -> str | None:
    """One A/B test: everybody is sent to at once, and clicks within the time with an exponential delay."""
    chance = random.Random(seed)  # noqa: S311 - seeded on purpose
    clicks = {
        name: sorted(chance.expovariate(4) for _ in range(people) if chance.random() < rate)
        for name, rate in rates.items()
    }
    spent = 0.0
    for number in range(1, LOOKS + 1):
        elapsed = number / LOOKS
        arms = [Arm(name, people, sum(at <= elapsed for at in made)) for name, made in clicks.items()]
        seen = look(arms, information=elapsed, alpha=0.05, spent=spent)
        spent = seen.spent
        if seen.winner is not None:
            return seen.winner
    assert 0.05 == pytest.approx(spent)
    return None


def test_a_variant_that_is_a_fifth_better_is_found() -> None:
    """Acceptance: at least 95 of 100 seeded simulations pick it, and none picks the other."""
    found = [simulate(seed, {"a": 0.10, "b": 0.12}, people=10_000) for seed in range(100)]
    assert found.count("b") >= 95
    assert 0 == found.count("a")


@pytest.mark.parametrize("variants", [2, 4])
def test_among_equals_a_winner_is_found_no_more_often_than_stated(variants: int) -> None:
    rates = dict.fromkeys("abcd"[:variants], 0.10)
    found = [simulate(seed, rates, people=500) for seed in range(600)]
    assert sum(winner is not None for winner in found) <= 0.05 * len(found)


def test_looking_without_correction_would_find_too_many() -> None:
    """The test above can fail: the same looks at the usual threshold find winners among equals too often."""
    wrong = 0
    for seed in range(300):
        chance = random.Random(seed)  # noqa: S311 - seeded on purpose
        trials, ones, twos = 0, 0, 0
        for _ in range(10):
            trials += 100
            ones += sum(chance.random() < 0.1 for _ in range(100))
            twos += sum(chance.random() < 0.1 for _ in range(100))
            if p_value(Arm("a", trials, ones), Arm("b", trials, twos)) < 0.05:
                wrong += 1
                break
    assert wrong > 0.1 * 300
