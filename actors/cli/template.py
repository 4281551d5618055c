"""`muster template`: message templates, as somebody would get them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from actors.cli import template_changes
from actors.cli.failure import Failure
from actors.cli.fields import assignment
from actors.cli.output import Json, emit, lines, note, table

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
def list_(context: typer.Context, *, as_json: Json = False) -> None:
    """List the templates and their languages."""
    from actors.cli.context import opened
    from engine.campaigns.templates import list_templates

    with opened(context) as muster, muster.read() as session:
        rows = list_templates(session, muster.org_id, limit=1000).results
        found = [
            {
                "id": str(row.id),
                "name": row.name,
                "subject": row.subject,
                "languages": [row.language or "", *(row.translations or ())],
            }
            for row in rows
        ]
    if as_json:
        emit(found)
        return
    table(
        ("Name", "Subject", "Languages", "Id"),
        [
            (one["name"], one["subject"], ", ".join(filter(None, one["languages"])), one["id"])
            for one in found
        ],
    )


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
    """Show what a template says to somebody. What would be empty or broken is told on standard error."""
    from actors.cli.context import opened
    from actors.cli.finding import find_named
    from engine.campaigns.previews import PreviewInput, preview
    from engine.inputs import read
    from state import tables

    with opened(context) as muster, muster.read() as session:
        row = find_named(session, tables.Template, muster.org_id, template)
        given = read(PreviewInput, _whom(session, muster, entity, attributes, language))
        found = preview(session, muster.org_id, row.id, given, unsubscribe_url=_nowhere(muster))
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
    from actors.cli.finding import find_named
    from engine.campaigns.previews import TestInput, prepare_test, send_test
    from engine.channels.port import Delivered, Surroundings
    from engine.channels.secrets import Secrets
    from engine.inputs import read
    from state import tables

    with opened(context) as muster:
        with muster.read() as session:
            row = find_named(session, tables.Template, muster.org_id, template)
            given: dict[str, Any] = {"address": address}
            if channel is not None:
                given["channel_id"] = find_named(session, tables.Channel, muster.org_id, channel).id
            prepared = prepare_test(
                session,
                muster.org_id,
                row.id,
                read(TestInput, given | _whom(session, muster, entity, attributes, language)),
                unsubscribe_url=_nowhere(muster),
                secrets=Secrets.of(muster.settings),
                surroundings=Surroundings.of(muster.settings, muster.runtime.database),
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

    from sqlalchemy import select

    from state.tables import Entity

    try:
        return str(UUID(wanted))
    except ValueError:
        statement = select(Entity.id).where(Entity.org_id == muster.org_id, Entity.external_id == wanted)
        found = list(session.execute(statement.limit(2)).scalars())
    if len(found) == 1:
        return str(found[0])
    what = "several entities have" if found else "no entity has"
    raise Failure(f"{what} the external id {wanted!r}", "use the entity's id" if found else None)


def _nowhere(muster: Opened) -> str:
    return f"{str(muster.settings.public_url).rstrip('/')}/u/preview"
