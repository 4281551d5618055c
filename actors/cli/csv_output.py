"""CSV on standard output, for spreadsheets: no cell of it is run as a formula."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["defused", "print_csv"]

#: What a spreadsheet takes for a formula; a number or a phone number is none.
_FORMULA = re.compile(r"[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?[0-9][0-9 .,]*")


def defused(cell: Any) -> Any:
    """A cell that a spreadsheet shows as it is: behind an apostrophe where it would be a formula."""
    if isinstance(cell, str) and _FORMULA.match(cell) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell


def print_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]], *, header: bool = True) -> None:
    """Print rows by their columns' names."""
    text = io.StringIO()
    writer = csv.writer(text)
    if header:
        writer.writerow(columns)
    writer.writerows([defused(row[name]) for name in columns] for row in rows)
    typer.echo(text.getvalue(), nl=False)
