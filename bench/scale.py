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
    celery: int
    """Recipients beside Celery."""
    messages: int
    """Messages built, rendered, or sent over loopback."""
    rows: int
    """Rows of an imported file."""
    entities: int
    """Entities that filters run over, and recipients that statements are explained at."""
    kept: bool
    """Whether the sizes are large enough for aims to be judged, and plots and plans to be kept."""

    def repeated(self, times: int) -> Scale:
        """The same, with that many runs of each delivery."""
        return replace(self, repeats=times)


FULL = Scale((10_000, 100_000, 1_000_000), 3, 10_000, 20_000, 50_000, 1_000_000, kept=True)
QUICK = Scale((1_000, 5_000), 1, 300, 1_000, 2_000, 5_000, kept=False)
