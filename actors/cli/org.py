"""`muster org`: tenants."""

from __future__ import annotations

from typing import Annotated

import typer

from actors.cli.output import Json, emit, table

__all__ = ["app"]

app = typer.Typer(help="Organizations: everything belongs to one.", no_args_is_help=True)


@app.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Its name, unique.")],
    *,
    as_json: Json = False,
) -> None:
    """Create an organization."""
    from actors.cli.context import author_of, load_settings, open_runtime, quiet_logs
    from engine.audit import watched
    from engine.organizations import create_organization

    settings = load_settings()
    quiet_logs(settings)
    with (
        open_runtime(settings) as runtime,
        runtime.transaction() as session,
        watched(session, author_of(context, None)),
    ):
        organization = create_organization(session, name)
        made = {"id": str(organization.id), "name": organization.name}
    if as_json:
        emit(made)
    else:
        typer.echo(f"created organization {made['name']}")
        typer.echo(f"its first key: muster --org {made['name']} keys create NAME --role admin")


@app.command("list")
def list_(*, as_json: Json = False) -> None:
    """List the organizations."""
    from actors.cli.context import load_settings, open_runtime, quiet_logs
    from engine.organizations import list_organizations

    settings = load_settings()
    quiet_logs(settings)
    with open_runtime(settings) as runtime, runtime.database.read() as session:
        found = list_organizations(session)
    if as_json:
        emit(
            [{"id": str(one.id), "name": one.name, "created_at": one.created_at.isoformat()} for one in found]
        )
    else:
        table(("Name", "Id", "Created"), [(one.name, one.id, f"{one.created_at:%Y-%m-%d}") for one in found])
