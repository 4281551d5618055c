"""`muster entity`: one person, or whatever a schema holds."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from actors.cli.confirm import Yes, require_answer
from actors.cli.failure import Failure
from actors.cli.output import Json, Limit, Next, emit, emit_page, note_next, table

__all__ = ["app"]

app = typer.Typer(help="Contacts and other entities: get, list, delete.", no_args_is_help=True)

Entity = Annotated[str, typer.Argument(help="Its id, external id or e-mail address.")]
Schema = Annotated[str, typer.Option(help="Of which schema.")]


@app.command()
def get(context: typer.Context, entity: Entity) -> None:
    """Print all that is kept of an entity, as JSON."""
    from actors.cli.context import opened
    from engine.audience.entities import entity_json, find_entity

    with opened(context) as muster, muster.read() as session:
        emit(entity_json(find_entity(session, muster.org_id, entity)))


@app.command("list")
def list_(
    context: typer.Context,
    *,
    schema: Schema = "contact",
    q: Annotated[str | None, typer.Option(help="Only those with this text in their title.")] = None,
    limit: Limit = 25,
    next_: Next = None,
    as_json: Json = False,
) -> None:
    """List the entities of a schema."""
    from actors.cli.context import opened
    from engine.audience.entities import entity_json, list_entities

    with opened(context) as muster, muster.read() as session:
        page = list_entities(session, muster.org_id, schema, q=q, limit=limit, next=next_)
        found: list[dict[str, Any]] = [entity_json(row) for row in page.results]
    if as_json:
        emit_page(found, page.next)
        return
    table(
        ("Title", "External id", "E-mail", "Id"),
        [(one.get("_title"), one.get("external_id"), one.get("email"), one["_id"]) for one in found],
    )
    note_next(page.next)


@app.command()
def delete(context: typer.Context, entity: Entity, *, yes: Yes = False) -> None:
    """Delete an entity; campaigns that run do not write to it any more. Asks before."""
    from actors.cli.context import opened
    from engine.audience.entities import delete_entity, find_entity

    require_answer(yes=yes, what="this deletes what is known of a person")
    with opened(context) as muster:
        with muster.read() as session:
            row = find_entity(session, muster.org_id, entity)
        if not yes and not typer.confirm(f"Delete {row.title or row.id}?", err=True):
            raise Failure("nothing was deleted")
        with muster.transaction() as session:
            delete_entity(session, muster.org_id, row.schema, row.id)
    typer.echo(f"{row.title or row.id}: deleted")
