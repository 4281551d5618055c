"""`muster keys`: API keys of an organization."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from actors.cli.failure import Failure
from actors.cli.output import Json, emit, moment, note, table

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from state.tables import ApiKey

__all__ = ["app"]

app = typer.Typer(help="API keys of an organization.", no_args_is_help=True)


@app.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What it is for, so that you know it again.")],
    *,
    role: Annotated[
        str, typer.Option(help="viewer (reads), operator (works), admin (also keys, channels).")
    ] = ("operator"),
    as_json: Json = False,
) -> None:
    """Create a key. It is printed once, on standard output, and kept nowhere."""
    from actors.cli.context import opened
    from engine.api_keys import create_key

    with opened(context) as muster, muster.transaction() as session:
        row, plain = create_key(session, muster.org_id, name, role)
        made = {"id": str(row.id), "name": row.name, "role": row.role, "key": plain}
    if as_json:
        emit(made)
        return
    note(f"key {made['name']} ({made['role']}) of {muster.org_name}; it is not shown again:")
    typer.echo(plain)


@app.command("list")
def list_(context: typer.Context, *, as_json: Json = False) -> None:
    """List the keys, by their first characters."""
    from actors.cli.context import opened
    from engine.api_keys import list_keys

    with opened(context) as muster, muster.read() as session:
        found = list_keys(session, muster.org_id)
    if as_json:
        emit([_plain(row) for row in found])
        return
    table(
        ("Name", "Key", "Role", "Id", "Created", "Last used", "Revoked"),
        [
            (
                row.name,
                f"{row.prefix}…",
                row.role,
                row.id,
                f"{row.created_at:%Y-%m-%d}",
                moment(row.last_used_at) if row.last_used_at else "never",
                moment(row.revoked_at) if row.revoked_at else "",
            )
            for row in found
        ],
    )


@app.command()
def revoke(
    context: typer.Context,
    key: Annotated[str, typer.Argument(help="Its id, its name, or the characters it begins with.")],
) -> None:
    """Shut a key out, from the next request on."""
    from actors.cli.context import opened
    from engine.api_keys import revoke_key

    with opened(context) as muster, muster.transaction() as session:
        row = revoke_key(session, muster.org_id, _find(session, muster.org_id, key))
        typer.echo(f"revoked {row.name} ({row.prefix}…)")


def _find(session: Session, org_id: UUID, wanted: str) -> UUID:
    from engine.api_keys import list_keys

    found = [
        row.id
        for row in list_keys(session, org_id)
        if wanted in (str(row.id), row.name) or row.prefix.startswith(wanted)
    ]
    if len(found) != 1:
        raise Failure(
            f"{len(found) or 'no'} keys are called {wanted!r}", "`muster keys list` shows their ids; use one"
        )
    return found[0]


def _plain(row: ApiKey) -> dict[str, object]:
    return {
        "id": str(row.id),
        "name": row.name,
        "role": row.role,
        "prefix": row.prefix,
        "created_at": row.created_at.isoformat(),
        "last_used_at": row.last_used_at.isoformat() if row.last_used_at else None,
        "revoked_at": row.revoked_at.isoformat() if row.revoked_at else None,
    }
