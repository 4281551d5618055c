"""What was measured: a row a case, printed as a table and kept as JSON (design.md §7)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Row", "show", "write"]


@dataclass(frozen=True)
class Row:
    """One figure, beside what it is measured against."""

    case: str
    value: float
    unit: str
    baseline: float | None = None
    ratio: float | None = None
    aim: str | None = None
    met: bool | None = None


def write(path: Path, rows: list[Row]) -> None:
    """Keep them as data."""
    path.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


def show(rows: list[Row]) -> None:
    """Print them."""
    table = Table(title="Benchmarks")
    for name in ("case", "value", "unit", "baseline", "ratio", "aim", "met"):
        table.add_column(name, justify="left" if name in ("case", "unit", "aim") else "right")
    for row in rows:
        met = "" if row.met is None else ("[green]yes[/]" if row.met else "[red]NO[/]")
        table.add_row(
            row.case,
            _number(row.value),
            row.unit,
            _number(row.baseline),
            _number(row.ratio),
            row.aim or "",
            met,
        )
    Console(width=150).print(table)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"
