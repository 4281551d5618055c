"""`muster target`: saved audiences."""

from __future__ import annotations

from typing import Annotated

import typer

from actors.cli.failure import Exit, Failure
from actors.cli.output import Json, Limit, Next, emit, emit_page, note, note_next, table

__all__ = ["app"]

app = typer.Typer(help="Saved audiences: create, preview, list.", no_args_is_help=True)

Target = Annotated[str, typer.Argument(help="Its id or name.")]
Where = Annotated[
    list[str] | None, typer.Option(help="Who: 'country = Norway and age >= 18'. Several: all of them hold.")
]


@app.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What it is called.")],
    *,
    where: Where = None,
    any_: Annotated[bool, typer.Option("--any", help="Any of the texts is enough.")] = False,
    filter_: Annotated[
        str | None,
        typer.Option("--filter", metavar="JSON", help="A filter tree instead; @FILE reads a file."),
    ] = None,
    schema: Annotated[str, typer.Option(help="The schema of those who match.")] = "contact",
    as_json: Json = False,
) -> None:
    """Create a target, and say how many are in it."""
    from actors.cli.context import opened
    from actors.cli.draft import read_filter
    from engine.filters.targets import TargetInput, count, create_target
    from engine.filters.where import tree_of
    from engine.kernel.inputs import read
    from state.change import clock_of

    if (filter_ is None) == (not where):
        raise Failure("a target needs --where or --filter", code=Exit.USAGE)
    filters = (
        tree_of(where or [], combination="OR" if any_ else "AND")
        if filter_ is None
        else {"filter": read_filter(filter_)}
    )
    made = read(TargetInput, {"name": name, "entity_schema": schema, "entity_filters": filters})
    with opened(context) as muster, muster.transaction() as session:
        row = create_target(session, muster.org_id, made)
        found = count(session, muster.org_id, row, clock_of(session).now())
        said = {"id": str(row.id), "name": row.name, "count": found}
    if as_json:
        emit(said)
    else:
        typer.echo(f"created target {name} ({said['id']}): {found:,} are in it")


@app.command()
def preview(context: typer.Context, target: Target, *, as_json: Json = False) -> None:
    """Count who is in a target now, and tell which values its conditions cannot read."""
    from actors.cli.context import opened
    from actors.cli.named_rows import find_named
    from engine.audience.preview import preview_target
    from engine.filters.filters import parse_filters
    from engine.filters.where_text import write_where
    from state import tables
    from state.change import clock_of

    with opened(context) as muster, muster.read() as session:
        row = find_named(session, tables.Target, muster.org_id, target)
        found = preview_target(session, muster.org_id, row, clock_of(session).now())
        tree = parse_filters(row.entity_filters)
    text = "" if tree is None else write_where(tree)
    if as_json:
        notes = [{"message": one.message, "count": one.count} for one in found.notes]
        emit({"name": row.name, "where": text, "count": found.count, "notes": notes})
        return
    typer.echo(f"{row.name}: {found.count:,} where {text}" if text else f"{row.name}: no filters, so nobody")
    for one in found.notes:
        note(one.message)


@app.command("list")
def list_(context: typer.Context, *, limit: Limit = 25, next_: Next = None, as_json: Json = False) -> None:
    """List the targets, newest first."""
    from actors.cli.context import opened
    from engine.filters.filters import parse_filters
    from engine.filters.targets import list_targets
    from engine.filters.where_text import write_where

    with opened(context) as muster, muster.read() as session:
        page = list_targets(session, muster.org_id, limit=limit, next=next_)
    found = []
    for row in page.results:
        tree = parse_filters(row.entity_filters)
        where = "" if tree is None else write_where(tree)
        found.append({"id": str(row.id), "name": row.name, "schema": row.entity_schema, "where": where})
    if as_json:
        emit_page(found, page.next)
        return
    table(
        ("Name", "Schema", "Where", "Id"),
        [(one["name"], one["schema"], one["where"], one["id"]) for one in found],
    )
    note_next(page.next)


@app.command()
def delete(context: typer.Context, target: Target) -> None:
    """Delete a target. A campaign that names it finds nobody in it."""
    from actors.cli.context import opened
    from actors.cli.named_rows import find_named
    from engine.filters.targets import delete_target
    from state import tables

    with opened(context) as muster, muster.transaction() as session:
        row = find_named(session, tables.Target, muster.org_id, target)
        name = row.name
        delete_target(session, muster.org_id, row.id)
    typer.echo(f"{name}: deleted")
