"""`muster suppression`: addresses that must not be written to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from actors.cli.failure import Exit, Failure
from actors.cli.output import Json, Limit, Next, emit, emit_page, note, note_next, table

__all__ = ["app"]

app = typer.Typer(help="Addresses that must not be written to.", no_args_is_help=True)

Address = Annotated[str, typer.Argument(help="An e-mail address, a phone number, a chat's id or @name.")]
Medium = Annotated[
    str | None, typer.Option(help="email, phone, chat or other. [default: as the address looks]")
]


@app.command()
def add(context: typer.Context, address: Address, *, medium: Medium = None, as_json: Json = False) -> None:
    """Put an address on the list, for every campaign; kept in the form in which channels use it."""
    from actors.cli.context import opened
    from engine.audience.suppression_list import SuppressionInput, suppress
    from engine.kernel.inputs import read
    from engine.kernel.media import medium_of_text

    given = read(SuppressionInput, {"address": address, "medium": medium or medium_of_text(address).value})
    with opened(context) as muster, muster.transaction() as session:
        row, created = suppress(session, muster.org_id, given)
        said = {"id": str(row.id), "medium": row.medium, "address": row.address, "created": created}
    if as_json:
        emit(said)
    else:
        typer.echo(
            f"{said['address']} ({said['medium']}): " + ("added" if created else "was on the list already")
        )


@app.command()
def remove(context: typer.Context, address: Address, *, medium: Medium = None) -> None:
    """Take an address off the list, however it is written."""
    from actors.cli.context import opened
    from engine.audience.suppression_list import list_suppressions, remove_suppression
    from engine.kernel.media import AddressMedium

    kind = None if medium is None else AddressMedium(_medium(medium))
    with opened(context) as muster, muster.transaction() as session:
        rows = list_suppressions(session, muster.org_id, limit=100, address=address, medium=kind).results
        for row in rows:
            remove_suppression(session, muster.org_id, row.id)
    if not rows:
        raise Failure(f"{address} is not on the list")
    typer.echo(f"{address}: removed")


@app.command("list")
def list_(
    context: typer.Context,
    *,
    medium: Medium = None,
    limit: Limit = 25,
    next_: Next = None,
    as_json: Json = False,
) -> None:
    """List suppressed addresses, newest first."""
    from actors.cli.context import opened
    from engine.audience.suppression_list import list_suppressions
    from engine.kernel.media import AddressMedium

    kind = None if medium is None else AddressMedium(_medium(medium))
    with opened(context) as muster, muster.read() as session:
        page = list_suppressions(session, muster.org_id, limit=limit, next=next_, medium=kind)
    found = [
        {
            "id": str(row.id),
            "medium": row.medium,
            "address": row.address,
            "reason": row.reason,
            "created_at": row.created_at,
        }
        for row in page.results
    ]
    if as_json:
        emit_page(found, page.next)
        return
    table(
        ("Address", "Medium", "Reason", "Since"),
        [(one["address"], one["medium"], one["reason"], f"{one['created_at']:%Y-%m-%d}") for one in found],
    )
    note_next(page.next)


@app.command("import")
def import_(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A CSV file (docs/consent.md).", exists=True, dir_okay=False)],
    *,
    as_json: Json = False,
) -> None:
    """Add the addresses of a CSV file of any size; lines that hold none are listed by their number (exit code 1)."""
    from actors.cli.context import opened
    from engine.audience.suppression_import import import_suppressions
    from engine.audit import note_request

    with opened(context) as muster, file.open("rb") as stream:
        database = muster.runtime.database
        done = import_suppressions(database, muster.org_id, iter(lambda: stream.read(65_536), b""))
        note_request(database, muster.author, "suppression", "import", created=done.created)
    if as_json:
        errors = [{"line": line, "message": message} for line, message in done.errors]
        emit({"created": done.created, "skipped": done.skipped, "rejected": done.rejected, "errors": errors})
    else:
        typer.echo(f"{done.created:,} added, {done.skipped:,} were there, {done.rejected:,} rejected")
        for line, message in done.errors:
            note(f"line {line}: {message}")
    if done.rejected:
        raise typer.Exit(Exit.FAILED)


@app.command()
def export(context: typer.Context) -> None:
    """Print the whole list as CSV, in the form that the import takes."""
    from actors.cli.context import opened
    from engine.audience.suppression_csv import suppressions_as_csv
    from engine.audit import note_request

    with opened(context) as muster:
        note_request(muster.runtime.database, muster.author, "suppression", "export")
        for text in suppressions_as_csv(muster.runtime.database, muster.org_id):
            typer.echo(text, nl=False)


def _medium(word: str) -> str:
    from actors.cli.choices import one_of
    from engine.kernel.media import AddressMedium

    return one_of("the medium", word, [one.value for one in AddressMedium])
