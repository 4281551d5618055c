"""Pictures of the delivery runs: throughput by size, and memory over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl

from bench.results import HERE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from bench.delivery import Turn
    from bench.muster_run import MusterRun

mpl.use("Agg")
from matplotlib import pyplot as plt

__all__ = ["plot_comparison", "plot_delivery"]

#: Muster, what is the ceiling, and everybody else.
_COLOURS = {"Muster": "tab:blue", "raw": "tab:green", "lean": "tab:green"}


def plot_delivery(turns: Sequence[Turn]) -> None:
    """Write throughput.png and memory.png."""
    folder = HERE / "plots"
    folder.mkdir(exist_ok=True)
    _throughput(turns).savefig(folder / "throughput.png", dpi=120)
    _memory([turn.muster for turn in turns]).savefig(folder / "memory.png", dpi=120)
    plt.close("all")


def _throughput(turns: Sequence[Turn]) -> Figure:
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    places = range(len(turns))
    for shift, label, rates in (
        (-0.27, "Muster", [turn.muster.rate for turn in turns]),
        (0.0, "raw: two updates a recipient", [turn.raw.rate for turn in turns]),
        (0.27, "lean: one update a recipient", [turn.lean.rate for turn in turns]),
    ):
        bars = axes.bar([place + shift for place in places], rates, 0.25, label=label)
        axes.bar_label(bars, fmt="{:,.0f}", fontsize=8)
    axes.set_xticks(list(places), [f"{turn.muster.size:,}" for turn in turns])
    axes.set_xlabel("recipients of the campaign")
    axes.set_ylabel("recipients a second")
    axes.set_title("Activation to finished job, null channel, two worker processes")
    axes.margins(y=0.1)
    figure.legend(loc="outside lower center", ncols=3)
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


def plot_comparison(rates: dict[str, float], costs: dict[str, float], size: int) -> None:
    """Write comparison.png: everybody on one axis, a logarithmic one, and what a recipient costs beside it."""
    names = sorted(rates, key=rates.__getitem__)
    colours = [_COLOURS.get(name, "tab:gray") for name in names]
    figure, (speed, cost) = plt.subplots(1, 2, figsize=(10, 4.2), sharey=True, layout="constrained")
    for axes, values, title, unit in (
        (speed, rates, "recipients a second", "{:,.0f}/s"),
        (cost, costs, "processor time a recipient, database and broker included", "{:,.0f} µs"),
    ):
        bars = axes.barh(names, [values[name] for name in names], color=colours)
        axes.bar_label(bars, labels=[f" {unit.format(values[name])}" for name in names])
        axes.set_xscale("log")
        axes.set_title(title, fontsize=10)
        axes.margins(x=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{size:,} recipients delivered, a durable outcome each, two cores")
    folder = HERE / "plots"
    folder.mkdir(exist_ok=True)
    figure.savefig(folder / "comparison.png", dpi=120)
    plt.close("all")
