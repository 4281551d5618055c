"""`muster template`: message templates, as somebody would get them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from actors.cli import template_changes
from actors.cli.failure import Failure
from actors.cli.fields import assignment
from actors.cli.output import Json, Limit, Next, emit, emit_page, lines, note, note_next, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

    from actors.cli.context import Opened

__all__ = ["app"]

app = typer.Typer(help="Message templates: create, change, preview, send a test.", no_args_is_help=True)
app.command()(template_changes.create)
app.command()(template_changes.update)
app.command()(template_changes.delete)

Template = Annotated[str, typer.Argument(help="Its id or name.")]
Entity = Annotated[str | None, typer.Option("--for", metavar="ENTITY", help="An entity's id or external id.")]
Attributes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="An attribute, instead of the entity's; repeatable."),
]
Language = Annotated[str | None, typer.Option(help="As if the recipient read it: de, en-GB …")]


@app.command("list")
def list_(context: typer.Context, *, limit: Limit = 25, next_: Next = None, as_json: Json = False) -> None:
    """List the templates and their languages, newest first."""
    from actors.cli.context import opened
    from engine.kernel import listing
    from state.tables import Template

    with opened(context) as muster, muster.read() as session:
        page = listing.page(session, Template, muster.org_id, limit=limit, next=next_)
        found = [
            {
                "id": str(row.id),
                "name": row.name,
                "subject": row.subject,
                "languages": [row.language or "", *(row.translations or ())],
            }
            for row in page.results
        ]
    if as_json:
        emit_page(found, page.next)
        return
    table(
        ("Name", "Subject", "Languages", "Id"),
        [
            (one["name"], one["subject"], ", ".join(filter(None, one["languages"])), one["id"])
            for one in found
        ],
    )
    note_next(page.next)


@app.command()
def preview(
    context: typer.Context,
    template: Template,
    *,
    entity: Entity = None,
    attributes: Attributes = None,
    language: Language = None,
    html: Annotated[bool, typer.Option("--html", help="Print the HTML alone.")] = False,
    as_json: Json = False,
) -> None:
    """Show what a template says to somebody. What would be empty or broken is shown on standard error."""
    from actors.cli.context import opened
    from actors.cli.named_rows import find_named
    from engine.campaigns.previews import PreviewInput, link_to_nowhere, preview
    from engine.kernel.inputs import read
    from state import tables

    with opened(context) as muster, muster.read() as session:
        row = find_named(session, tables.Template, muster.org_id, template)
        given = read(PreviewInput, _whom(session, muster, entity, attributes, language))
        found = preview(session, row, given, unsubscribe_url=link_to_nowhere(muster.settings.public_url))
    content = found.content
    if as_json:
        emit(
            {
                "subject": content.subject,
                "text": content.text,
                "html": content.html,
                "headers": dict(found.headers),
                "size": found.size,
                "warnings": found.warnings,
            }
        )
        return
    for warning in found.warnings:
        note(f"warning: {warning}")
    if html:
        typer.echo(content.html or "")
        return
    lines([("Subject", content.subject), ("Size", f"{found.size:,} bytes")])
    typer.echo(f"\n{content.text or ''}")


@app.command("test")
def send(
    context: typer.Context,
    template: Template,
    address: Annotated[str, typer.Argument(help="Where to send it: an address of your own.")],
    *,
    channel: Annotated[str | None, typer.Option(help="Its id or name; default: the organization's.")] = None,
    entity: Entity = None,
    attributes: Attributes = None,
    language: Language = None,
) -> None:
    """Really send one message. No campaign learns of it."""
    import asyncio

    from actors.cli.context import opened
    from actors.cli.named_rows import find_named
    from engine.campaigns.previews import TestInput, link_to_nowhere, prepare_test, send_test
    from engine.channels.port import ChannelContext, Delivered
    from engine.kernel.inputs import read
    from engine.kernel.secrets import Secrets
    from state import tables

    with opened(context) as muster:
        with muster.read() as session:
            row = find_named(session, tables.Template, muster.org_id, template)
            given: dict[str, Any] = {"address": address}
            if channel is not None:
                given["channel_id"] = find_named(session, tables.Channel, muster.org_id, channel).id
            prepared = prepare_test(
                session,
                row,
                read(TestInput, given | _whom(session, muster, entity, attributes, language)),
                unsubscribe_url=link_to_nowhere(muster.settings.public_url),
                secrets=Secrets.of(muster.settings),
                channel_context=ChannelContext.of(muster.settings, muster.runtime.database),
            )
        outcome = asyncio.run(send_test(prepared))
    if not isinstance(outcome, Delivered):
        said = ": ".join(filter(None, (getattr(outcome, "code", None), getattr(outcome, "text", None))))
        raise Failure(f"the test was not delivered ({type(outcome).__name__.lower()}) {said}".rstrip())
    typer.echo(f"sent to {prepared.message.address}")


def _whom(
    session: Session,
    muster: Opened,
    entity: str | None,
    attributes: Sequence[str] | None,
    language: str | None,
) -> dict[str, Any]:
    given: dict[str, Any] = {
        "attributes": dict(
            assignment(text, what="attribute", example="name=Ada") for text in attributes or ()
        )
    }
    if language is not None:
        given["language"] = language
    if entity is not None:
        given["entity_id"] = _entity_id(session, muster, entity)
    return given


def _entity_id(session: Session, muster: Opened, wanted: str) -> str:
    from uuid import UUID

    from engine.audience.entities import entities_by_external_id

    try:
        return str(UUID(wanted))
    except ValueError:
        found = entities_by_external_id(session, muster.org_id, wanted, limit=2)
    if len(found) == 1:
        return str(found[0])
    what = "several entities have" if found else "no entity has"
    raise Failure(f"{what} the external id {wanted!r}", "use the entity's id" if found else None)
