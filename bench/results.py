"""What the benchmarks say: one line a figure, for people as a table and for machines as JSON."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from typing import Unpack

__all__ = ["HERE", "RESULTS", "Aim", "Result", "load", "record", "table"]

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"


class Aim(TypedDict, total=False):
    """What is wanted of a figure: one of them, or nothing."""

    at_least: float
    at_most: float


@dataclass(frozen=True)
class Result:
    """One figure."""

    case: str
    """A stable id: `delivery.rate.1000000`."""
    value: float
    unit: str
    baseline: float | None = None
    """What it is compared with, measured in the same run, in the same unit."""
    ratio: float | None = None
    """Value over baseline."""
    aim: str | None = None
    """What was wanted, in words: `ratio >= 0.5`."""
    met: bool | None = None
    """Whether it is so; absent where nothing was wanted."""

    @classmethod
    def compared(
        cls,
        case: str,
        value: float,
        unit: str,
        baseline: float,
        *,
        ratio: float | None = None,
        judged: Literal["ratio", "value"] = "ratio",
        **aim: Unpack[Aim],
    ) -> Result:
        """A figure beside its baseline.

        Args:
            ratio: The median of several runs' ratios; absent: of these two values.
            judged: What the aim is of.
            aim: `at_least` or `at_most`.
        """
        ratio = value / baseline if ratio is None else ratio
        wanted, met = _judged(judged, ratio if judged == "ratio" else value, **aim)
        return cls(case, _figures(value), unit, _figures(baseline), _figures(ratio), wanted, met)

    @classmethod
    def alone(cls, case: str, value: float, unit: str, **aim: Unpack[Aim]) -> Result:
        """A figure with nothing beside it. `aim`: `at_least` or `at_most`, of the value."""
        wanted, met = _judged("value", value, **aim)
        return cls(case, _figures(value), unit, aim=wanted, met=met)


def _judged(
    name: str, value: float, at_least: float | None = None, at_most: float | None = None
) -> tuple[str | None, bool | None]:
    if at_least is not None:
        return f"{name} >= {at_least:g}", value >= at_least
    if at_most is not None:
        return f"{name} <= {at_most:g}", value <= at_most
    return None, None


def _figures(value: float) -> float:
    """No more figures than mean something."""
    return round(value) if abs(value) >= 1000 else float(f"{value:.3g}")


def load(path: Path = RESULTS) -> dict[str, list[Result]]:
    """What each benchmark measured last, by its name."""
    if not path.exists():
        return {}
    return {name: [Result(**row) for row in rows] for name, rows in json.loads(path.read_text()).items()}


def record(name: str, results: Sequence[Result], *, known: Collection[str], path: Path = RESULTS) -> None:
    """Put in what a benchmark has measured, in place of all that it measured before.

    Args:
        known: The benchmarks that there are; what any other measured once is dropped.
    """
    kept = {other: rows for other, rows in load(path).items() if other in known and other != name}
    found = {**kept, name: results}
    rows = {one: [asdict(result) for result in found[one]] for one in sorted(found)}
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(rows, indent=2) + "\n")
    os.replace(fresh, path)  # noqa: PTH105 - says that it is atomic


def table(results: Sequence[Result], title: str) -> Table:
    """For a terminal."""
    drawn = Table(title=title, title_justify="left")
    drawn.add_column("case")
    for name in ("value", "baseline", "ratio"):
        drawn.add_column(name, justify="right")
    drawn.add_column("unit")
    drawn.add_column("aim")
    drawn.add_column("met", justify="right")
    for result in results:
        met = "" if result.met is None else "[green]yes" if result.met else "[bold red]NO"
        drawn.add_row(
            result.case,
            f"{result.value:,g}" if result.value < 1000 else f"{result.value:,.0f}",
            "" if result.baseline is None else f"{result.baseline:,g}",
            "" if result.ratio is None else f"{result.ratio:g}",
            result.unit,
            result.aim or "",
            met,
        )
    return drawn
