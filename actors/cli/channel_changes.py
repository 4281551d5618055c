"""`muster channel update|delete|limits`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from actors.cli.credentials import read_credentials
from actors.cli.fields import Fields, assignment, fields_of, given
from actors.cli.output import Json, emit

__all__ = ["delete", "limits", "update"]

Channel = Annotated[str, typer.Argument(help="Its id or name.")]


def update(
    context: typer.Context,
    channel: Channel,
    *,
    name: Annotated[str | None, typer.Option(help="What it is called.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--setting", metavar="NAME=VALUE", help="A setting of its kind; the others stay. Repeatable."
        ),
    ] = None,
    credentials: Annotated[
        Path | None,
        typer.Option(help="A JSON file that takes their place; - reads standard input.", allow_dash=True),
    ] = None,
    default: Annotated[
        bool | None, typer.Option("--default/--no-default", help="Of the organization.")
    ] = None,
    fields: Fields = None,
) -> None:
    """Change a channel; what is not named stays. Slices that begin from now on use it as it is then."""
    change = given(
        fields,
        name=name,
        settings=settings or None,
        credentials=None if credentials is None else read_credentials(credentials),
        is_default=default,
    )
    if settings:
        change["settings"] = dict(
            assignment(one, what="setting", example="host=mail.example.com") for one in settings
        )
    typer.echo(f"{_change(context, channel, change)['name']}: changed")


def limits(
    context: typer.Context,
    channel: Channel,
    fields: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME=VALUE]...", help='rate=\'{"messages": 100, "per": "minute"}\'; null removes it.'
        ),
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Show a channel's limits, or change those that are named (docs/limits.md)."""
    from actors.cli.context import opened
    from actors.cli.named_rows import find_named
    from state import tables

    with opened(context) as muster, muster.read() as session:
        now = dict(find_named(session, tables.Channel, muster.org_id, channel).limits or {})
    if fields:
        wanted = {name: value for name, value in (now | fields_of(fields)).items() if value is not None}
        now = dict(_change(context, channel, {"limits": wanted or None})["limits"] or {})
    if as_json or now:
        emit(now)
    else:
        typer.echo("no limits")


def delete(context: typer.Context, channel: Channel) -> None:
    """Delete a channel; refused while a flow names it."""
    from actors.cli.context import opened
    from actors.cli.named_rows import find_named
    from engine.campaigns.channels import delete_channel
    from state import tables

    with opened(context) as muster, muster.transaction() as session:
        row = find_named(session, tables.Channel, muster.org_id, channel)
        name = row.name
        delete_channel(session, muster.org_id, row.id)
    typer.echo(f"{name}: deleted")


def _change(context: typer.Context, channel: str, change: dict[str, Any]) -> dict[str, Any]:
    """Change it; its name and limits then. Settings that are not named stay."""
    from actors.cli.context import opened
    from actors.cli.named_rows import find_named
    from engine.campaigns.channels import ChannelChange, update_channel
    from engine.kernel.inputs import read
    from engine.kernel.secrets import Secrets
    from state import tables

    with opened(context) as muster, muster.transaction() as session:
        row = find_named(session, tables.Channel, muster.org_id, channel)
        if "settings" in change:
            merged = {**row.settings, **change["settings"]}
            change = change | {
                "settings": {name: value for name, value in merged.items() if value is not None}
            }
        row = update_channel(
            session, muster.org_id, row.id, read(ChannelChange, change), Secrets.of(muster.settings)
        )
        return {"name": row.name, "limits": row.limits}
