"""Delivery beside the raw program: rate, processor time, first send, and memory that does not grow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench import muster_run, raw
from bench.ground import WORKERS
from bench.results import Row
from bench.seeding import seed
from state.database import Database

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.ground import Ground
    from bench.muster_run import MusterRun

__all__ = ["measure"]

_FIRST_SECONDS = 2.0
_LEAST_RATIO = 0.5
_GROWTH = 1.2
_SLACK_MIB = 16.0
#: Sizes from here on count for the aim of the rate; below, starting up is most of what is measured.
_LARGE = 100_000


def measure(ground: Ground, sizes: Sequence[int]) -> tuple[list[Row], list[MusterRun]]:
    """Deliver campaigns of these sizes with Muster and with the raw program, in turns, each on a fresh copy."""
    rows: list[Row] = []
    runs: list[MusterRun] = []
    for size in sizes:
        database = Database(ground.create_seed())
        org_id, campaign_id = seed(database, size)
        database.close()
        plain = raw.deliver(ground, ground.copy_seed("raw"), org_id, campaign_id, size, processes=WORKERS)
        ground.drop("raw")
        run = muster_run.deliver(ground, ground.copy_seed("muster"), org_id, campaign_id, size)
        ground.drop("muster")
        runs.append(run)
        ratio = run.rate / plain.rate
        met = ratio >= _LEAST_RATIO if size >= _LARGE else None
        rows += [
            Row(
                f"delivery of {size:,}",
                run.rate,
                "recipients/s",
                plain.rate,
                ratio,
                f">= {_LEAST_RATIO}",
                met,
            ),
            Row(f"processor time at {size:,}", run.cpu, "µs/recipient", plain.cpu, run.cpu / plain.cpu),
            Row(
                f"first send at {size:,}",
                run.first,
                "s after activation",
                aim=f"< {_FIRST_SECONDS:g}",
                met=run.first < _FIRST_SECONDS,
            ),
        ]
    rows += _memory(runs)
    return rows, runs


def _memory(runs: Sequence[MusterRun]) -> list[Row]:
    smallest = runs[0]
    rows = []
    for run in runs:
        for what, peak, base in (
            ("worker", run.peak_worker, smallest.peak_worker),
            ("Redis", run.peak_redis, smallest.peak_redis),
        ):
            bound = base * _GROWTH + _SLACK_MIB
            aim = f"<= {bound:.0f}: flat"
            rows.append(
                Row(f"{what} memory at {run.size:,}", peak, "MiB", base, peak / base, aim, met=peak <= bound)
            )
    return rows
