"""`muster db`: the database's tables."""

from __future__ import annotations

import typer

from actors.cli.failure import Exit
from actors.cli.output import Json, emit

__all__ = ["app"]

app = typer.Typer(
    help="The database's tables: what they lack, and bringing them up to date.", no_args_is_help=True
)


@app.command()
def upgrade(*, as_json: Json = False) -> None:
    """Run the missing migrations. Safe to run twice, and from several machines at once."""
    from actors.cli.context import load_settings, quiet_logs
    from state import migrate

    settings = load_settings()
    quiet_logs(settings)
    ran = migrate.upgrade(settings.database_url)
    if as_json:
        emit({"ran": ran})
        return
    for migration in ran:
        typer.echo(f"ran {migration}")
    typer.echo("the database is up to date")


@app.command()
def status(*, as_json: Json = False) -> None:
    """Say which migrations the database lacks; exit code 3 when it lacks any."""
    from actors.cli.context import load_settings, quiet_logs
    from state import revisions
    from state.database import Database

    settings = load_settings()
    quiet_logs(settings)
    file = settings.sqlite_file
    if file is not None and not file.exists():
        missing = revisions.known()
    else:
        database = Database(settings.database_url, pool_size=2)
        try:
            missing = revisions.pending(database)
        finally:
            database.close()
    if as_json:
        emit({"pending": missing})
    elif missing:
        for migration in missing:
            typer.echo(f"missing {migration}")
        typer.echo("run `muster db upgrade`")
    else:
        typer.echo("the database is up to date")
    if missing:
        raise typer.Exit(Exit.UNREACHABLE)
