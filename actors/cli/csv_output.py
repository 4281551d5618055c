"""CSV on standard output, for spreadsheets: no cell of it is run as a formula."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import typer

from engine.kernel.csv_cells import defused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["print_csv"]


def print_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]], *, header: bool = True) -> None:
    """Print rows by their columns' names."""
    text = io.StringIO()
    writer = csv.writer(text)
    if header:
        writer.writerow(columns)
    writer.writerows([defused(row[name]) for name in columns] for row in rows)
    typer.echo(text.getvalue(), nl=False)
