"""Whether one rate is truly better than another: intervals, a test, and looking more than once.

Looking at a running experiment again and again, and stopping at the first "significant" look, finds a winner among
equals far more often than the stated error rate. So the error rate is a budget that looks spend (Lan and DeMets 1983,
with O'Brien and Fleming's shape: little early, most of it at the planned end), and what one look may spend is what the
spending function has grown by since the last. By the union bound the chance of any false finding over all looks stays
below the rate, whatever the number of looks; with several pairs of variants each look's share is divided among them.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Arm", "Look", "interval", "look", "p_value", "spendable"]

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Arm:
    """One variant, and how it did."""

    variant: str
    trials: int
    """Messages sent."""
    successes: int
    """Recipients who did what is measured; at most `trials` count."""

    @property
    def rate(self) -> float:
        """Successes a trial."""
        return min(self.successes, self.trials) / self.trials if self.trials else 0.0


@dataclass(frozen=True, slots=True)
class Look:
    """What one look came to."""

    leader: str | None
    """The variant with the best rate; absent: nobody has any trial."""
    winner: str | None
    """The leader, when it is better than every other; absent: not shown."""
    p: float
    """Of the leader against its closest rival."""
    threshold: float
    """What `p` had to be below."""
    spent: float
    """Error rate spent, this look included."""


def interval(successes: int, trials: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a rate: honest for few trials, and at rates near 0 or 1. (0, 1) without trials."""
    if trials <= 0:
        return 0.0, 1.0
    z = _NORMAL.inv_cdf((1 + confidence) / 2)
    rate = min(successes, trials) / trials
    centre = rate + z * z / (2 * trials)
    reach = z * sqrt(rate * (1 - rate) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    return max(0.0, (centre - reach) / scale), min(1.0, (centre + reach) / scale)


def p_value(one: Arm, other: Arm) -> float:
    """How likely a difference at least this large is if both rates are equal: the two-sided two-proportion test."""
    if not one.trials or not other.trials:
        return 1.0
    pooled = (one.rate * one.trials + other.rate * other.trials) / (one.trials + other.trials)
    spread = sqrt(pooled * (1 - pooled) * (1 / one.trials + 1 / other.trials))
    if spread == 0:
        return 1.0
    return 2 * (1 - _NORMAL.cdf(abs(one.rate - other.rate) / spread))


def spendable(information: float, *, alpha: float) -> float:
    """How much of the error rate `alpha` may be spent once this share (0 to 1) of the experiment is in."""
    if information <= 0:
        return 0.0
    if information >= 1:
        return alpha
    return 2 * (1 - _NORMAL.cdf(_NORMAL.inv_cdf(1 - alpha / 2) / sqrt(information)))


def look(arms: Sequence[Arm], *, information: float, alpha: float, spent: float = 0.0) -> Look:
    """Look at an experiment once.

    Args:
        information: Which share (0 to 1) of all that it will measure is in; 1: this is the last look.
        alpha: The error rate of the whole experiment.
        spent: What earlier looks have spent of it.
    """
    may = max(spendable(information, alpha=alpha) - spent, 0.0)
    ranked = sorted(arms, key=lambda arm: (-arm.rate, arm.variant))
    pairs = len(ranked) * (len(ranked) - 1) // 2
    if not pairs or not ranked[0].trials:
        return Look(None, None, 1.0, 0.0, spent)
    threshold = may / pairs
    p = max(p_value(ranked[0], rival) for rival in ranked[1:])
    better = p < threshold and ranked[0].rate > ranked[1].rate
    return Look(ranked[0].variant, ranked[0].variant if better else None, p, threshold, spent + may)
