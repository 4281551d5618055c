"""`muster person`: what is known of somebody, and forgetting it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from actors.cli.confirm import Yes, require_answer
from actors.cli.failure import Failure
from actors.cli.output import Json, emit, note

if TYPE_CHECKING:
    from actors.cli.context import Opened

__all__ = ["app"]

app = typer.Typer(help="Everything that is known of a person: export, erase.", no_args_is_help=True)

Person = Annotated[str, typer.Argument(help="Their id, external id or e-mail address.")]


@app.command()
def export(context: typer.Context, person: Person) -> None:
    """Print everything that is known of a person, as one JSON object."""
    from actors.cli.context import opened
    from engine.audience.entities import find_entity
    from engine.audit import note_request
    from engine.people.export import export_person

    with opened(context) as muster:
        with muster.read() as session:
            row = find_entity(session, muster.org_id, person)
        for piece in export_person(muster.runtime.database, muster.org_id, row.schema, row.id):
            sys.stdout.write(piece.decode())
        sys.stdout.write("\n")
        note_request(muster.runtime.database, muster.author, "entity", "export", entity=str(row.id))


@app.command()
def erase(context: typer.Context, person: Person, *, yes: Yes = False, as_json: Json = False) -> None:
    """Erase a person for good: their addresses stay barred, counts stay true, nothing else is left. Asks before.

    Repeat it with their id to see how far it is.
    """
    from actors.cli.context import opened
    from engine import audit
    from engine.people.erase import begin_erasure, erasure_json, find_erasure, go_on

    require_answer(yes=yes, what="this erases a person, and cannot be undone")
    with opened(context) as muster:
        muster.runtime.open_keys()
        schema, entity_id, name = _whom(muster, person)
        if name is not None and not yes and not typer.confirm(f"Erase {name} for good?", err=True):
            raise Failure("nobody was erased")
        with muster.transaction() as session:
            erasure = begin_erasure(
                session,
                muster.org_id,
                schema,
                entity_id,
                by=muster.author.name,
                secrets=muster.runtime.secrets,
            )
            audit.note(session, "entity", "erase", entity_id, schema=schema, erasure=str(erasure.id))
        go_on(muster.runtime, erasure.id)
        with muster.read() as session:
            shown = erasure_json(find_erasure(session, muster.org_id, entity_id))
    if as_json:
        emit(shown)
        return
    typer.echo(f"{entity_id}: {shown['status']}")
    if shown["status"] != "done":
        note(f"the scheduler looks again after {shown['last_look_at']}, for what was under way")


def _whom(muster: Opened, wanted: str) -> tuple[str, UUID, str | None]:
    """Schema, id and name of a person; of one who was erased before there is no name."""
    from engine.audience.entities import find_entity
    from engine.people.erase import find_erasure
    from state.errors import NotFound

    with muster.read() as session:
        try:
            row = find_entity(session, muster.org_id, wanted)
        except NotFound:
            try:
                erasure = find_erasure(session, muster.org_id, UUID(wanted))
            except ValueError:
                raise NotFound("an entity of the id, external id or e-mail address", wanted) from None
            return erasure.schema, erasure.entity_id, None
        return row.schema, row.id, row.title or str(row.id)
