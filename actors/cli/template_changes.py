"""`muster template create|update|delete`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actors.cli.fields import Fields, fields_of, given, text_of

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session

__all__ = ["create", "delete", "update"]

Template = Annotated[str, typer.Argument(help="Its id or name.")]
Subject = Annotated[str | None, typer.Option(help="May hold variables.")]
Html = Annotated[Path | None, typer.Option(help="A file with its HTML part.", exists=True, dir_okay=False)]
Text = Annotated[Path | None, typer.Option(help="A file with its text part.", exists=True, dir_okay=False)]
Sender = Annotated[str | None, typer.Option("--from", metavar="ADDRESS", help="The From address.")]
Attach = Annotated[
    list[Path] | None, typer.Option(help="A file that goes with it; repeatable.", exists=True, dir_okay=False)
]


def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What it is called.")],
    *,
    subject: Subject = None,
    html: Html = None,
    text: Text = None,
    sender: Sender = None,
    attach: Attach = None,
    fields: Fields = None,
) -> None:
    """Create a template; one that cannot be rendered is refused by part and line."""
    from actors.cli.context import opened
    from engine.campaigns.templates import TemplateInput, create_template
    from engine.kernel.inputs import read

    made = {"name": name} | _parts(subject, html, text, sender) | fields_of(fields)
    with opened(context) as muster, muster.transaction() as session:
        row = create_template(session, muster.org_id, read(TemplateInput, made))
        _attach(session, muster.org_id, row.id, attach or [])
        typer.echo(f"created template {row.name} ({row.id})")


def update(
    context: typer.Context,
    template: Template,
    *,
    name: Annotated[str | None, typer.Option(help="What it is called.")] = None,
    subject: Subject = None,
    html: Html = None,
    text: Text = None,
    sender: Sender = None,
    attach: Attach = None,
    detach: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A file that no longer goes with it; repeatable.")
    ] = None,
    fields: Fields = None,
) -> None:
    """Change a template; what is not named stays. Messages that are made from now on say it.

    A file that is detached and attached by one command takes the other's place.
    """
    from actors.cli.context import opened
    from actors.cli.named_rows import find_named
    from engine.campaigns.templates import TemplateChange, update_template
    from engine.kernel.inputs import read
    from state import tables

    parts = _parts(subject, html, text, sender)
    has_files = attach or detach
    change = {} if has_files and not (parts or fields or name) else given(fields, name=name, **parts)
    with opened(context) as muster, muster.transaction() as session:
        row = find_named(session, tables.Template, muster.org_id, template)
        if change:
            row = update_template(session, muster.org_id, row.id, read(TemplateChange, change))
        _detach(session, muster.org_id, row.id, detach or [])
        _attach(session, muster.org_id, row.id, attach or [])
        typer.echo(f"{row.name}: changed")


def delete(context: typer.Context, template: Template) -> None:
    """Delete a template; refused while a flow names it."""
    from actors.cli.context import opened
    from actors.cli.named_rows import find_named
    from engine.campaigns.templates import delete_template
    from state import tables

    with opened(context) as muster, muster.transaction() as session:
        row = find_named(session, tables.Template, muster.org_id, template)
        name = row.name
        delete_template(session, muster.org_id, row.id)
    typer.echo(f"{name}: deleted")


def _parts(subject: str | None, html: Path | None, text: Path | None, sender: str | None) -> dict[str, Any]:
    said = {
        "subject": subject,
        "html": text_of(html),
        "text": text_of(text),
        "sender": None if sender is None else {"email": sender},
    }
    return {name: value for name, value in said.items() if value is not None}


def _detach(session: Session, org_id: UUID, template_id: UUID, names: list[str]) -> None:
    from actors.cli.failure import Failure
    from engine.campaigns.attachments import MAX_FILES, delete_attachment, list_attachments
    from engine.kernel.suggestions import did_you_mean

    if not names:
        return
    files = list_attachments(session, org_id, template_id, limit=MAX_FILES).results
    known = {file.filename: file.id for file in files}
    for name in dict.fromkeys(names):
        if name not in known:
            here = f"it has {', '.join(map(repr, known))}" if known else "it has no file"
            raise Failure(f"no file {name!r} goes with the template{did_you_mean(name, known)}", here)
        delete_attachment(session, org_id, template_id, known[name])


def _attach(session: Session, org_id: UUID, template_id: UUID, paths: list[Path]) -> None:
    from base64 import b64encode

    from engine.campaigns.attachments import AttachmentInput, create_attachment
    from engine.kernel.inputs import read

    for path in paths:
        content = b64encode(path.read_bytes()).decode()
        made = read(AttachmentInput, {"filename": path.name, "content": content})
        create_attachment(session, org_id, template_id, made)
