"""Tables and JSON on standard output; everything else goes to standard error."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from rich.console import Console

__all__ = [
    "Json",
    "Limit",
    "Next",
    "console",
    "emit",
    "emit_page",
    "lines",
    "moment",
    "note",
    "note_next",
    "table",
]

Json = Annotated[bool, typer.Option("--json", help="Print JSON for a script instead of text for a person.")]

Limit = Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")]
Next = Annotated[str | None, typer.Option("--next", help="Go on behind an earlier page.")]

#: Where nobody looks at a terminal, tables are not cut to its width.
_UNSEEN_WIDTH = 240


def console(*, stderr: bool = False) -> Console:
    """A console on the stream as it is now."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _UNSEEN_WIDTH
    return Console(file=stream, width=width, highlight=False, emoji=False)


def emit(value: Any, *, line: bool = False) -> None:
    """Print a value as JSON: indented, or on one line."""
    typer.echo(json.dumps(value, default=_text, ensure_ascii=False, indent=None if line else 2))


def emit_page(results: list[dict[str, Any]], following: str | None) -> None:
    """Print a page of a list as JSON, with the cursor of the next."""
    emit({"results": results, "next": following})


def note_next(following: str | None) -> None:
    """Tell how to see the next page of a list, if there is one."""
    if following is not None:
        note(f"go on with --next {following}")


def _text(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def lines(pairs: Iterable[tuple[str, object]]) -> None:
    """Print names and values in two columns; absent values are left out."""
    kept = [(name, value) for name, value in pairs if value is not None]
    width = max((len(name) for name, _ in kept), default=0)
    for name, value in kept:
        typer.echo(f"{name.ljust(width)}  {value}")


def moment(instant: datetime) -> str:
    """A date and time as a person reads it here, with its offset."""
    return instant.astimezone().isoformat(sep=" ", timespec="seconds")


def note(text: str) -> None:
    """Tell a person something; a script that reads standard output does not see it."""
    typer.echo(text, err=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None) -> None:
    """Print a table. Columns whose name ends in `#` hold numbers, which stand to the right."""
    from rich.table import Table
    from rich.text import Text

    drawn = Table(header_style="bold")
    for column in columns:
        drawn.add_column(column.removesuffix("#"), justify="right" if column.endswith("#") else "left")
    for row in rows:
        # Text, not str: what a person called a campaign is never read as markup.
        drawn.add_row(*(cell if isinstance(cell, Text) else Text(_cell(cell)) for cell in row))
    if title is not None:
        typer.secho(title, bold=True)
    console().print(drawn)


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
