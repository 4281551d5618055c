"""How much is measured: everything, or just enough to see that the benchmarks still work."""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["FULL", "QUICK", "Scale"]


@dataclass(frozen=True)
class Scale:
    """Sizes and repeats of every case."""

    deliveries: tuple[int, ...]
    """Recipients of the delivery runs, smallest first."""
    repeats: int
    """Of each measured pair; the median counts."""
    trials: int
    """Recipients that each setting of a peer is tried with; 0: the first is taken."""
    peers: int
    """Recipients beside the peers."""
    embedded: int
    """Recipients of the embedded form."""
    steered: int
    """Recipients of the campaign that is paused; it ends early when the pauses take longer."""
    pauses: int
    requests: int
    """Of each kind, under delivery and idle."""
    checked: int
    """Recipients of each delivery with and without a check."""
    messages: int
    """Messages built, rendered, or sent over loopback."""
    rows: int
    """Rows of an imported file."""
    entities: int
    """Entities that filters run over, and recipients that statements are explained at."""
    campaigns: int
    """That are over, beside the one that the console shows."""
    looks: int
    """At each page of the console."""
    kept: bool
    """Whether the sizes are large enough for aims to be judged, and plots and plans to be kept."""

    def repeated(self, times: int) -> Scale:
        """The same, with that many runs of each delivery."""
        return replace(self, repeats=times)


FULL = Scale(
    deliveries=(10_000, 100_000, 1_000_000),
    repeats=3,
    trials=3_000,
    peers=30_000,
    embedded=50_000,
    steered=500_000,
    pauses=50,
    requests=200,
    checked=50_000,
    messages=20_000,
    rows=50_000,
    entities=1_000_000,
    campaigns=5_000,
    looks=40,
    kept=True,
)
QUICK = Scale(
    deliveries=(1_000, 5_000),
    repeats=1,
    trials=0,
    peers=300,
    embedded=1_000,
    steered=60_000,
    pauses=3,
    requests=20,
    checked=1_000,
    messages=1_000,
    rows=2_000,
    entities=5_000,
    campaigns=50,
    looks=3,
    kept=False,
)
