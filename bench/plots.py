"""Pictures of the delivery runs: throughput by size, and memory over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl

from bench.results import HERE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from bench.muster_run import MusterRun
    from bench.raw import RawRun

mpl.use("Agg")
from matplotlib import pyplot as plt

__all__ = ["plot_delivery"]


def plot_delivery(runs: Sequence[tuple[MusterRun, RawRun]]) -> None:
    """Write throughput.png and memory.png."""
    folder = HERE / "plots"
    folder.mkdir(exist_ok=True)
    _throughput(runs).savefig(folder / "throughput.png", dpi=120)
    _memory([muster for muster, _ in runs]).savefig(folder / "memory.png", dpi=120)
    plt.close("all")


def _throughput(runs: Sequence[tuple[MusterRun, RawRun]]) -> Figure:
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    places = range(len(runs))
    for shift, label, rates in (
        (-0.2, "Muster", [muster.rate for muster, _ in runs]),
        (0.2, "raw SQL, the same rows", [plain.rate for _, plain in runs]),
    ):
        bars = axes.bar([place + shift for place in places], rates, 0.38, label=label)
        axes.bar_label(bars, fmt="{:,.0f}")
    axes.set_xticks(list(places), [f"{muster.size:,}" for muster, _ in runs])
    axes.set_xlabel("recipients of the campaign")
    axes.set_ylabel("recipients a second")
    axes.set_title("Activation to finished job, null channel, two worker processes")
    axes.margins(y=0.1)
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def _memory(runs: Sequence[MusterRun]) -> Figure:
    figure, (workers, redis) = plt.subplots(2, 1, figsize=(7, 5), sharex=True, layout="constrained")
    for run in runs:
        share = [100 * at / run.samples[-1][0] for at, _, _ in run.samples]
        workers.plot(share, [max(resident) for _, resident, _ in run.samples], label=f"{run.size:,}")
        redis.plot(share, [used for _, _, used in run.samples], label=f"{run.size:,}")
    workers.set_title("Largest worker's resident memory")
    redis.set_title("Redis, used_memory")
    redis.set_xlabel("percent of the run")
    for axes in (workers, redis):
        axes.set_ylabel("MiB")
        axes.set_ylim(bottom=0)
        axes.legend(title="recipients", loc="lower right")
    return figure
