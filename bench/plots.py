"""Pictures of the runs: rate by size, and memory over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
import matplotlib.pyplot as plt

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.muster_run import MusterRun
    from bench.results import Row

__all__ = ["draw"]


def draw(directory: Path, rows: Sequence[Row], runs: Sequence[MusterRun]) -> None:
    """Write `throughput.png` and `memory.png`."""
    mpl.use("Agg")
    directory.mkdir(exist_ok=True)
    rates = [row for row in rows if row.case.startswith("delivery of")]
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    sizes = [f"{run.size:,}" for run in runs]
    places = range(len(runs))
    axes.bar([place - 0.2 for place in places], [row.baseline or 0 for row in rates], 0.4, label="raw SQL")
    axes.bar([place + 0.2 for place in places], [row.value for row in rates], 0.4, label="Muster")
    axes.set(xticks=list(places), xticklabels=sizes, xlabel="recipients", ylabel="recipients / s")
    axes.legend()
    figure.savefig(directory / "throughput.png", dpi=110)
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for run in runs:
        seconds = [second for second, _, _ in run.samples]
        share = [second / (seconds[-1] or 1) * 100 for second in seconds]
        axes.plot(share, [max(resident) for _, resident, _ in run.samples], label=f"worker, {run.size:,}")
        axes.plot(share, [used for _, _, used in run.samples], "--", label=f"Redis, {run.size:,}")
    axes.set(xlabel="% of the run", ylabel="MiB", ylim=(0, None))
    axes.legend()
    figure.savefig(directory / "memory.png", dpi=110)
    plt.close("all")
