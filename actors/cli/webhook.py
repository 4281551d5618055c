"""`muster webhook`: which addresses get events."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from actors.cli.output import Json, Limit, Next, emit, emit_page, note_next, table

__all__ = ["app"]

app = typer.Typer(help="Addresses that get events: create, list, delete.", no_args_is_help=True)


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
    from engine.events.webhooks import WebhookInput, create_webhook
    from engine.kernel.inputs import read
    from engine.kernel.secrets import Secrets

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
def list_(context: typer.Context, *, limit: Limit = 25, next_: Next = None, as_json: Json = False) -> None:
    """List the webhooks, newest first."""
    from actors.cli.context import opened
    from engine.events.webhooks import list_webhooks

    with opened(context) as muster, muster.read() as session:
        page = list_webhooks(session, muster.org_id, limit=limit, next=next_)
        found: list[dict[str, Any]] = [
            {"id": str(row.id), "url": row.url, "events": row.events, "active": row.active}
            for row in page.results
        ]
    if as_json:
        emit_page(found, page.next)
        return
    table(
        ("URL", "Events", "Active", "Id"),
        [
            (one["url"], ", ".join(one["events"]), "yes" if one["active"] else "no", one["id"])
            for one in found
        ],
    )
    note_next(page.next)


@app.command()
def delete(
    context: typer.Context, webhook: Annotated[str, typer.Argument(help="Its id, or how it begins.")]
) -> None:
    """Delete a webhook, with its log and what waits for it."""
    from actors.cli.context import opened
    from actors.cli.named_rows import find_by_id
    from engine.events.webhooks import delete_webhook
    from state import tables

    with opened(context) as muster, muster.transaction() as session:
        row = find_by_id(session, tables.Webhook, muster.org_id, webhook)
        delete_webhook(session, muster.org_id, row.id)
    typer.echo(f"{row.url}: deleted")
