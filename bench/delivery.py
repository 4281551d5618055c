"""Delivery on the `null` channel, size by size, beside two programs that only write rows (bench.baselines).

Each run has a database of its own, copied from the same seeded one; the three take turns on one server, so that
whatever else the machine does meets all of them. Ratios are those of neighbours; their median counts.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from bench import muster_run
from bench.baselines.program import deliver as baseline
from bench.conditions import load
from bench.ground import WORKERS, Ground
from bench.plots import plot_delivery
from bench.results import Aim, Result
from bench.seeding import seed
from state.database import Database

if TYPE_CHECKING:
    from pathlib import Path

    from bench.meter import Run
    from bench.muster_run import MusterRun
    from bench.scale import Scale

__all__ = ["Turn", "run"]

_GRACE = {"worker": 8.0, "redis": 1.0}
"""MiB that may be needed beside the 20 %: the allocators' own steps."""

_EVERY: dict[str, Aim] = {"first": {"at_most": 2.0}}
"""At every size, in seconds."""

_AIMS: dict[int, dict[str, Aim]] = {
    10_000: {"rate.raw": {"at_least": 0.5}},
    1_000_000: {
        "rate.raw": {"at_least": 1.0},
        "rate.lean": {"at_least": 0.6},
        "cpu.raw": {"at_most": 1.1},
        "wal.raw": {"at_most": 900},
        "bytes.raw": {"at_most": 600},
    },
}
"""By size: ratios of rates and processor time, and bytes as such."""


class Turn(NamedTuple):
    """Neighbouring runs of the same size."""

    muster: MusterRun
    raw: Run
    lean: Run


def run(scale: Scale, directory: Path) -> list[Result]:
    """Every size of the scale."""
    results: list[Result] = []
    typical: list[Turn] = []
    with Ground(directory) as ground:
        for size in scale.deliveries:
            turns = _turns(ground, size, scale.repeats)
            typical.append(sorted(turns, key=lambda turn: turn.muster.rate)[len(turns) // 2])
            results += _figures(turns, aims={**_EVERY, **_AIMS.get(size, {})} if scale.kept else {})
            results += _memory(typical[-1].muster, typical[0].muster, judged=scale.kept)
            results.append(_statistics(typical[-1].muster, typical[0].muster))
    if scale.kept:
        plot_delivery(typical)
    return results


def _turns(ground: Ground, size: int, repeats: int) -> list[Turn]:
    url = ground.create_seed()
    database = Database(url)
    org_id, campaign_id = seed(database, size)
    database.close()

    def plain(program: str) -> Run:
        return baseline(
            ground, program, ground.copy_seed("run"), org_id, campaign_id, size, processes=WORKERS
        )

    # The first on a fresh server would pay for its log files and caches: nobody who is measured does.
    plain("raw")
    turns = []
    for _ in range(repeats):
        muster = muster_run.deliver(ground, ground.copy_seed("run"), org_id, campaign_id, size)
        turn = Turn(muster, plain("raw"), plain("lean"))
        print(
            f"  {size:>9,}: Muster {muster.rate:,.0f}/s ({muster.program_cpu / size * 1e6:.0f} µs of workers and "
            f"{muster.database_cpu / size * 1e6:.0f} µs of PostgreSQL each), raw {turn.raw.rate:,.0f}/s "
            f"({turn.raw.cpu:.0f} µs), lean {turn.lean.rate:,.0f}/s ({turn.lean.cpu:.0f} µs), "
            f"first after {muster.first:.2f} s; load {load()}"
        )
        turns.append(turn)
    ground.drop("run")
    return turns


def _figures(turns: list[Turn], *, aims: dict[str, Aim]) -> list[Result]:
    """Muster beside the raw program, and, where it has a row of its own, beside the lean one."""
    size = turns[0].muster.size
    found = []
    for name, unit, figure in (
        ("rate", "recipients/s", lambda run: run.rate),
        ("cpu", "µs/recipient", lambda run: run.cpu),
        ("wal", "bytes/recipient", lambda run: run.wal / size),
        ("bytes", "bytes/recipient", lambda run: run.table / size),
    ):
        for other in ("raw", "lean"):
            case = f"delivery.{name}.{other}.{size}"
            pairs = [(figure(turn.muster), figure(getattr(turn, other))) for turn in turns]
            found.append(
                Result.compared(
                    case,
                    median(mine for mine, _ in pairs),
                    unit,
                    median(theirs for _, theirs in pairs),
                    ratio=median(mine / theirs for mine, theirs in pairs),
                    judged="ratio" if name in ("rate", "cpu") else "value",
                    **aims.get(f"{name}.{other}", {}),
                )
            )
    first = median(turn.muster.first for turn in turns)
    return [*found, Result.alone(f"delivery.first.{size}", first, "seconds", **aims.get("first", {}))]


def _statistics(run: MusterRun, smallest: MusterRun) -> Result:
    """As many statements as at the smallest size."""
    case = f"statistics.statements.{run.size}"
    if run is smallest:
        return Result.alone(case, run.statements, "statements")
    return Result.compared(case, run.statements, "statements", smallest.statements, at_most=1.0)


def _memory(run: MusterRun, smallest: MusterRun, *, judged: bool) -> list[Result]:
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
    aim: Aim = {"at_most": 150.0} if judged else {}
    return [*found, Result.alone(f"delivery.memory.most.{run.size}", run.peak_worker, "MiB", **aim)]
