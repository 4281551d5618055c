"""`muster webhook`: who is told of events."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from actors.cli.output import Json, emit, table

__all__ = ["app"]

app = typer.Typer(help="Who is told of events: create, list, delete.", no_args_is_help=True)


@app.command()
def create(
    context: typer.Context,
    url: Annotated[str, typer.Argument(help="Where events are posted to.")],
    *,
    event: Annotated[
        list[str] | None, typer.Option(help="A name, a group (`recipient.*`) or `*`. [default: *]")
    ] = None,
    as_json: Json = False,
) -> None:
    """Create a webhook, and print its secret, which is not shown again."""
    from actors.cli.context import opened
    from engine.channels.secrets import Secrets
    from engine.events.webhooks import WebhookInput, create_webhook
    from engine.inputs import read

    given = read(WebhookInput, {"url": url, "events": event or ["*"]})
    with opened(context) as muster, muster.transaction() as session:
        row, secret = create_webhook(
            session, muster.org_id, given, Secrets.of(muster.settings), muster.runtime.guard
        )
        said = {"id": str(row.id), "url": row.url, "events": row.events, "secret": secret}
    if as_json:
        emit(said)
    else:
        typer.echo(f"created webhook {said['id']}; its secret, which is not shown again: {secret}")


@app.command("list")
def list_(context: typer.Context, *, as_json: Json = False) -> None:
    """List the webhooks."""
    from actors.cli.context import opened
    from engine.events.webhooks import list_webhooks

    with opened(context) as muster, muster.read() as session:
        found: list[dict[str, Any]] = [
            {"id": str(row.id), "url": row.url, "events": row.events, "active": row.active}
            for row in list_webhooks(session, muster.org_id)
        ]
    if as_json:
        emit(found)
        return
    table(
        ("URL", "Events", "Active", "Id"),
        [
            (one["url"], ", ".join(one["events"]), "yes" if one["active"] else "no", one["id"])
            for one in found
        ],
    )


@app.command()
def delete(
    context: typer.Context, webhook: Annotated[str, typer.Argument(help="Its id, or how it begins.")]
) -> None:
    """Delete a webhook, with its log and what waits for it."""
    from actors.cli.context import opened
    from actors.cli.finding import find_by_id
    from engine.events.webhooks import delete_webhook
    from state import tables

    with opened(context) as muster, muster.transaction() as session:
        row = find_by_id(session, tables.Webhook, muster.org_id, webhook)
        delete_webhook(session, muster.org_id, row.id)
    typer.echo(f"{row.url}: deleted")
