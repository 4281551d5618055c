"""Delivery on the `null` channel, size by size, beside a raw-SQL program that writes the same rows.

Each run has a database of its own, copied from the same seeded one; Muster and the raw program take turns on one
server, so that whatever else the machine does meets both. Ratios are those of neighbours; their median counts.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from bench import muster_run, raw
from bench.ground import WORKERS, Ground
from bench.plots import plot_delivery
from bench.results import Result
from bench.seeding import seed
from state.database import Database

if TYPE_CHECKING:
    from pathlib import Path

    from bench.muster_run import MusterRun
    from bench.raw import RawRun
    from bench.scale import Scale

__all__ = ["run"]

_GRACE = {"worker": 8.0, "redis": 1.0}
"""MiB that may be needed beside the 20 %: the allocators' own steps."""


def run(scale: Scale, directory: Path) -> list[Result]:
    """Every size of the scale."""
    results: list[Result] = []
    typical: list[tuple[MusterRun, RawRun]] = []
    with Ground(directory) as ground:
        for size in scale.deliveries:
            pairs = _pairs(ground, size, scale.repeats)
            typical.append(sorted(pairs, key=lambda pair: pair[0].rate)[len(pairs) // 2])
            results += _figures(pairs, judged=scale.kept and size == scale.deliveries[-1])
            results += _memory(typical[-1][0], typical[0][0])
            results.append(_statistics(typical[-1][0], typical[0][0]))
    if scale.kept:
        plot_delivery(typical)
    return results


def _pairs(ground: Ground, size: int, repeats: int) -> list[tuple[MusterRun, RawRun]]:
    url = ground.create_seed()
    database = Database(url)
    org_id, campaign_id = seed(database, size)
    database.close()
    # Whoever comes first on a fresh server would pay for its log files and caches: nobody who is measured does.
    raw.deliver(ground, ground.copy_seed("run"), org_id, campaign_id, size, processes=WORKERS)
    pairs = []
    for _ in range(repeats):
        muster = muster_run.deliver(ground, ground.copy_seed("run"), org_id, campaign_id, size)
        plain = raw.deliver(ground, ground.copy_seed("run"), org_id, campaign_id, size, processes=WORKERS)
        print(
            f"  {size:>9,}: Muster {muster.rate:,.0f}/s ({muster.worker_cpu / size * 1e6:.0f} µs of workers and "
            f"{muster.database_cpu / size * 1e6:.0f} µs of PostgreSQL each), raw {plain.rate:,.0f}/s "
            f"({plain.cpu:.0f} µs), first after {muster.first:.2f} s"
        )
        pairs.append((muster, plain))
    ground.drop("run")
    return pairs


def _figures(pairs: list[tuple[MusterRun, RawRun]], *, judged: bool) -> list[Result]:
    size = pairs[0][0].size
    ratio = median(muster.rate / plain.rate for muster, plain in pairs)
    cost = median(muster.cpu / plain.cpu for muster, plain in pairs)
    rates = median(muster.rate for muster, _ in pairs), median(plain.rate for _, plain in pairs)
    costs = median(muster.cpu for muster, _ in pairs), median(plain.cpu for _, plain in pairs)
    aim = {"at_least": 0.5} if judged else {}
    return [
        Result.compared(f"delivery.rate.{size}", rates[0], "recipients/s", rates[1], ratio=ratio, **aim),
        Result.compared(f"delivery.cpu.{size}", costs[0], "µs/recipient", costs[1], ratio=cost),
        Result.alone(
            f"delivery.first.{size}", median(muster.first for muster, _ in pairs), "seconds", at_most=2.0
        ),
    ]


def _statistics(run: MusterRun, smallest: MusterRun) -> Result:
    """As many statements as at the smallest size."""
    case = f"statistics.statements.{run.size}"
    if run is smallest:
        return Result.alone(case, run.statements, "statements")
    return Result.compared(case, run.statements, "statements", smallest.statements, at_most=1.0)


def _memory(run: MusterRun, smallest: MusterRun) -> list[Result]:
    """Peaks beside those of the smallest size: they are to be the same."""
    found = []
    for name, peak, least in (
        ("worker", run.peak_worker, smallest.peak_worker),
        ("redis", run.peak_redis, smallest.peak_redis),
    ):
        case = f"delivery.memory.{name}.{run.size}"
        if run is smallest:
            found.append(Result.alone(case, peak, "MiB"))
        else:
            bound = round((least * 1.2 + _GRACE[name]) / least, 2)
            found.append(Result.compared(case, peak, "MiB", least, at_most=bound))
    return found
