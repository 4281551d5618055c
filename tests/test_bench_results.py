"""What benchmarks measured is kept by benchmark: a run replaces all of its own and leaves the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.__main__ import CASES
from bench.results import Result, load, record

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


def test_a_run_replaces_what_its_benchmark_measured_and_drops_what_none_measures_any_more(
    tmp_path: Path,
) -> None:
    path = tmp_path / "results.json"
    old = [Result.alone("delivery.rate.10", 1, "recipients/s"), Result.alone("delivery.first.10", 2, "s")]
    for name, results in (
        ("delivery", old),
        ("content", [Result.alone("content.mime", 5, "µs")]),
        ("gone", [Result.alone("gone.by", 1, "s")]),
    ):
        record(name, results, known=["delivery", "content", "gone"], path=path)
    new = [Result.compared("delivery.rate.10", 3, "recipients/s", 6, at_least=0.5)]
    record("delivery", new, known=["delivery", "content"], path=path)
    assert load(path) == {"content": [Result.alone("content.mime", 5, "µs")], "delivery": new}


def test_what_is_recorded_is_of_benchmarks_that_there_are() -> None:
    found = load()
    assert found
    assert set(found) <= set(CASES)
    assert all(result.case for results in found.values() for result in results)
