"""Variants of touchpoints: who is given which, everywhere and for good."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import select

from engine.delivery.variants import Variants
from state.tables import (
    Execution,
)
from tests.delivery.accounts import check

if TYPE_CHECKING:
    from tests.delivery.kit import Bench


def test_variants_are_given_by_weight_and_kept(bench: Bench, clock) -> None:
    people = bench.entities(400)
    campaign = bench.campaign()
    three = [{"id": "a", "weight": 1}, {"id": "b", "weight": 3}, {"id": "never", "weight": 0}]
    first, second, third = bench.sequence(
        campaign,
        {"variants": three},
        {"variants": [{"id": "b"}, {"id": "a"}]},
        {"variants": [{"id": "x"}, {"id": "y"}]},
    )
    bench.activate(campaign)
    bench.run_out()
    given = {key: row.variant for key, row in bench.recipients().items()}
    counts = Counter(given.values())
    assert {"a", "b"} == set(counts)
    assert 240 < counts["b"] < 360
    with bench.database.read() as session:
        kept = session.execute(select(Execution.entity_id, Execution.touchpoint_id, Execution.variant)).all()
    assert all(variant == given[who] for who, at, variant in kept if at in (first, second))
    assert {"x", "y"} == {variant for _, at, variant in kept if at == third}
    sums = check(bench, campaign)
    assert {(400, 0, 0)} == set(sums.values())
    assert len(people) == 400


def test_variants_are_the_same_everywhere() -> None:
    """The hash is part of the contract: a recipient must not change sides with a release."""
    variants = Variants([{"id": "a", "weight": 1}, {"id": "b", "weight": 1}, {"id": "c", "weight": 2}])
    campaign = UUID(int=7)
    given = [variants.of(campaign, UUID(int=number), None) for number in range(12)]
    assert "abcbcabcbbbc" == "".join(given)
    counts = Counter(variants.of(campaign, UUID(int=number), None) for number in range(8000))
    assert all(abs(counts[name] - share) < 200 for name, share in (("a", 2000), ("b", 2000), ("c", 4000)))
    assert "a" == variants.of(campaign, UUID(int=1), "a")
