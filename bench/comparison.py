"""Muster, the two baselines, and the queues that others would take, on one server, with as many processes, in turns.

Everybody delivers the same campaign of the same people: planned, enqueued, rendered, and an outcome of each recipient
committed. A queue is tried with each of its settings on a few recipients first and measured with the best of them.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from bench import muster_run
from bench.baselines.program import deliver as baseline
from bench.conditions import load
from bench.ground import WORKERS, Ground
from bench.peers.lineup import peers
from bench.peers.run import deliver as by_peer
from bench.plots import plot_comparison
from bench.results import Aim, Result
from bench.seeding import seed
from state.database import Database

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

    from bench.meter import Run
    from bench.peers.lineup import Peer, Setting
    from bench.scale import Scale

__all__ = ["run"]

#: Muster is to be that many times as fast as each of them.
_TIMES = {"Celery": 30.0}
_TIMES_OTHERS = 10.0


def run(scale: Scale, directory: Path) -> list[Result]:
    """Recipients a second, and processor time a recipient with the broker's, of everybody."""
    with Ground(directory) as ground:
        field = _Field(ground)
        entrants = peers(directory)
        chosen = [(peer, peer.settings[0]) for peer in entrants]
        if scale.trials:
            field.seed(scale.trials)
            chosen = [(peer, field.best(peer)) for peer in entrants]
        field.seed(scale.peers)
        rounds = [field.round(chosen) for _ in range(scale.repeats)]
    rates = {name: median(turn[name].rate for turn in rounds) for name in rounds[0]}
    costs = {name: median(turn[name].cpu_with_broker for turn in rounds) for name in rounds[0]}
    if scale.kept:
        plot_comparison(rates, costs, scale.peers)
    found = []
    for name, rate in rates.items():
        case = f"peers.{{}}.{name.lower()}.{scale.peers}"
        ratio = median(turn["Muster"].rate / turn[name].rate for turn in rounds)
        dearer = median(turn["Muster"].cpu_with_broker / turn[name].cpu_with_broker for turn in rounds)
        if name == "Muster":
            continue
        aim: Aim = (
            {"at_least": _TIMES.get(name, _TIMES_OTHERS)} if scale.kept and name not in _BASELINES else {}
        )
        found += [
            Result.compared(case.format("rate"), rates["Muster"], "recipients/s", rate, ratio=ratio, **aim),
            Result.compared(case.format("cpu"), costs["Muster"], "µs/recipient", costs[name], ratio=dearer),
        ]
    return found


_BASELINES = ("raw", "lean")


class _Field:
    """The server on which they meet, and the people they deliver to."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground

    def seed(self, size: int) -> None:
        """Fill the database that everybody gets a copy of."""
        database = Database(self.ground.create_seed())
        self.size = size
        self.org_id, self.campaign_id = seed(database, size)
        database.close()

    def best(self, peer: Peer) -> Setting:
        """The setting with which it was the fastest."""
        rates = [(self._by(peer, setting).rate, setting) for setting in peer.settings]
        _, best = max(rates, key=lambda tried: tried[0])
        told = ", ".join(f"{setting.label}: {rate:,.0f}/s" for rate, setting in rates)
        print(f"  {peer.name} at its best with {best.label} ({told}); load {load()}")
        return best

    def round(self, chosen: list[tuple[Peer, Setting]]) -> dict[str, Run]:
        """Everybody once, one after the other."""
        found: dict[str, Run] = {"Muster": muster_run.deliver(self.ground, *self._copy(), self.size)}
        for program in _BASELINES:
            found[program] = baseline(self.ground, program, *self._copy(), self.size, processes=WORKERS)
        for peer, setting in chosen:
            found[peer.name] = self._by(peer, setting)
        for name, one in found.items():
            print(f"  {name:14} {one.rate:>9,.0f}/s {one.cpu_with_broker:>7,.0f} µs each")
        print(f"  load {load()}")
        return found

    def _by(self, peer: Peer, setting: Setting) -> Run:
        return by_peer(self.ground, peer, setting, *self._copy(), self.size)

    def _copy(self) -> tuple[str, UUID, UUID]:
        return self.ground.copy_seed("run"), self.org_id, self.campaign_id
