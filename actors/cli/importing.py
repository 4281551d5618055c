"""`muster import`: entities from a file of any size, in constant memory."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from actors.cli.failure import Exit, Failure
from actors.cli.output import Json, console, emit, note, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.audience.importing import ImportResult

__all__ = ["bytes_bar", "chunks", "import_"]

_BLOCK = 1 << 18
_FORMATS = {
    "csv": "text/csv",
    "ndjson": "application/x-ndjson",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_SUFFIXES = {".csv": "csv", ".tsv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson", ".xlsx": "xlsx"}
#: Rejected lines shown to a person; --json prints all that the import kept.
_SHOWN = 20


def import_(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="A CSV, NDJSON or XLSX file; - reads standard input.")],
    *,
    schema: Annotated[str, typer.Option(help="What they are: contact, contract, customer …")] = "contact",
    external_id: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="The column that knows them again, so that nobody is doubled."),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Instead of --external-id: match people by it, such as email."),
    ] = None,
    title: Annotated[
        str | None, typer.Option(metavar="TEMPLATE", help="How one is called: '{first_name} {last_name}'.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Forget what is known of them and not in the file.")
    ] = False,
    delimiter: Annotated[
        str | None,
        typer.Option(
            metavar="CHARACTER", help="Between columns of CSV: ';' or a word like tab. [default: found out]"
        ),
    ] = None,
    decimal_comma: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="Holds numbers like 1.234,50. May be repeated.")
    ] = None,
    decimal_point: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="Holds numbers like 1,234.50. May be repeated.")
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option("--format", metavar="csv|ndjson|xlsx", help="[default: by the file's suffix]"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Import entities. A column that the file lacks changes nothing, an empty cell empties.

    A bad line never stops the good ones; it is listed, and the exit code is 1.
    """
    from actors.cli.context import opened
    from engine.audience.importing import import_entities
    from engine.audience.store import Mode
    from engine.audit import note_request

    kind = _format(file, format_)
    with opened(context) as muster, _source(file) as (stream, size), bytes_bar(size) as advance:
        done = import_entities(
            muster.runtime.transaction,
            muster.org_id,
            schema,
            chunks(stream, advance),
            content_type=kind,
            external_id=external_id,
            title=title,
            key=key,
            delimiter=delimiter,
            decimal_comma=decimal_comma or (),
            decimal_point=decimal_point or (),
            mode=Mode.REPLACE if replace else Mode.MERGE,
        )
        after = {"schema": schema, "created": done.created, "updated": done.updated}
        note_request(muster.runtime.database, muster.author, "entity", "import", **after)
    _report(done, as_json=as_json)


def chunks(stream: IO[bytes], advance: Callable[[int], None]) -> Iterator[bytes]:
    """A stream's bytes, a block at a time; says how many went by."""
    while block := stream.read(_BLOCK):
        yield block
        advance(len(block))


@contextmanager
def bytes_bar(size: int | None) -> Iterator[Callable[[int], None]]:
    """A bar on standard error that is moved by bytes; nothing where nobody looks at a terminal.

    Args:
        size: Of the whole; None when nobody knows.
    """
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    out = console(stderr=True)
    with Progress(
        TextColumn("importing"),
        BarColumn(bar_width=None),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=out,
        disable=not out.is_terminal,
    ) as bar:
        task = bar.add_task("importing", total=size)
        yield lambda count: bar.advance(task, count)


@contextmanager
def _source(file: str) -> Iterator[tuple[IO[bytes], int | None]]:
    if file == "-":
        yield sys.stdin.buffer, None
        return
    path = Path(file)
    try:
        stream = path.open("rb")
    except OSError as error:
        raise Failure(f"{file} cannot be read: {error.strerror}", code=Exit.USAGE) from None
    with stream:
        yield stream, path.stat().st_size


def _format(file: str, said: str | None) -> str:
    from actors.cli.choices import one_of

    if said is not None:
        return _FORMATS[one_of("format", said, _FORMATS)]
    suffix = Path(file).suffix.lower()
    if suffix in _SUFFIXES:
        return _FORMATS[_SUFFIXES[suffix]]
    raise Failure(
        f"what {file} holds is not clear from its name",
        "say --format csv, ndjson or xlsx",
        code=Exit.USAGE,
    )


def _report(done: ImportResult, *, as_json: bool) -> None:
    rejected = done.rejected
    if as_json:
        emit(
            {
                "created": done.created,
                "updated": done.updated,
                "skipped": done.skipped,
                "rejected": rejected,
                "errors": [{"line": line.line, "message": line.message} for line in done.errors],
                "notes": [{"line": line.line, "message": line.message} for line in done.notes],
            }
        )
    else:
        typer.echo(
            f"{done.created:,} created, {done.updated:,} updated, {done.skipped:,} unchanged, "
            f"{rejected:,} rejected"
        )
        for remark in done.notes[:_SHOWN]:
            note(f"line {remark.line} {remark.message}")
        if done.errors:
            table(
                ("Line#", "Why it was rejected"), [(line.line, line.message) for line in done.errors[:_SHOWN]]
            )
        if rejected > _SHOWN:
            note(f"{rejected - _SHOWN:,} more; --json lists them")
    if rejected:
        raise Failure(
            f"{rejected:,} lines were rejected; all others are imported",
            "mend those lines and import the file again: what is in already stays as it is",
        )
