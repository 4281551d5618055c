"""`muster campaign create`: a campaign with the target, template and flow that it needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actors.cli.confirm import Yes, ask_before_made, require_answer
from actors.cli.failure import Exit, Failure
from actors.cli.output import Json, emit, note

if TYPE_CHECKING:
    from state.tables import Campaign

__all__ = ["as_fields", "create"]


def create(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="What it is called (or `name` in the file).")] = None,
    *,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file", "-f", help="A YAML or JSON file that describes it.", exists=True, dir_okay=False
        ),
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option(help="Who: 'Country = Norway'. Several: all of them hold.")
    ] = None,
    any_: Annotated[bool, typer.Option("--any", help="Any of the conditions is enough.")] = False,
    filter_: Annotated[
        str | None,
        typer.Option("--filter", metavar="JSON", help="Who, as a filter tree; @FILE reads a file."),
    ] = None,
    schema: Annotated[str, typer.Option(help="The schema of those who match.")] = "contact",
    target: Annotated[str | None, typer.Option(help="Who: a target there is, by name or id.")] = None,
    subject: Annotated[str | None, typer.Option(help="The message's subject.")] = None,
    html: Annotated[Path | None, typer.Option(help="A file with its HTML part.")] = None,
    text: Annotated[Path | None, typer.Option(help="A file with its text part.")] = None,
    sender: Annotated[str | None, typer.Option("--from", metavar="ADDRESS", help="The From address.")] = None,
    template: Annotated[str | None, typer.Option(help="A template there is, by name or id.")] = None,
    flow: Annotated[str | None, typer.Option(help="A flow there is, by name or id.")] = None,
    channel: Annotated[
        str | None, typer.Option(help="The channel, by name or id. [default: the organization's default]")
    ] = None,
    end_date: Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="Its last day, in UTC.")] = None,
    one_per_address: Annotated[
        bool | None,
        typer.Option(help="Write to the first alone of those who share an address. [default: it does]"),
    ] = None,
    topic: Annotated[
        str | None, typer.Option(help="What it is about, by name or id: who opted out of that is left out.")
    ] = None,
    activate_now: Annotated[bool, typer.Option("--activate", help="And activate it at once.")] = False,
    yes: Yes = False,
    id_alone: Annotated[bool, typer.Option("--quiet", "-q", help="Print its id alone.")] = False,
    as_json: Json = False,
) -> None:
    """Make a campaign with the target, template and flow it needs. All of it, or nothing."""
    from actors.cli.context import opened
    from actors.cli.draft import make, read_file
    from engine.campaigns.lifecycle import activate as start

    given: dict[str, Any] = read_file(file) if file is not None else {}
    audience = _audience(target, where, filter_, schema=schema, any_=any_)
    message = _message(template, subject, html, text, sender)
    said = {
        "name": name,
        "audience": audience,
        "template": message,
        "flow": flow,
        "channel": channel,
        "end_date": end_date,
        "topic": topic,
    }
    given |= {key: value for key, value in said.items() if value}
    if one_per_address is not None:
        given["one_per_address"] = one_per_address
    if file is None and name is None:
        raise Failure("a campaign needs a name", "muster campaign create NAME …", code=Exit.USAGE)
    if activate_now:
        require_answer(yes=yes)
    with opened(context) as muster:
        if activate_now:
            ask_before_made(muster, given, yes=yes)
        with muster.transaction() as session:
            campaign = make(session, muster.org_id, given)
            if activate_now:
                start(session, muster.org_id, campaign.id, window=muster.settings.window)
            made = as_fields(campaign)
    if as_json:
        emit(made)
        return
    if id_alone:
        typer.echo(made["id"])
        return
    typer.echo(f"created campaign {made['name']} ({made['id']}), {made['status']}")
    note(
        f"next: muster watch {made['id']}" if activate_now else f"next: muster campaign activate {made['id']}"
    )


def _audience(
    target: str | None, where: list[str] | None, filter_: str | None, *, schema: str, any_: bool
) -> dict[str, Any] | str | None:
    """Who, as a draft has it; None: nobody is named."""
    from actors.cli.draft import read_filter

    described: dict[str, Any] = {}
    if where:
        described |= {"where": where, "combination": "OR" if any_ else "AND"}
    if filter_ is not None:
        described |= {"filter": read_filter(filter_)}
    if target is not None and described:
        raise Failure(
            "--target names an audience, --where and --filter describe one; use one", code=Exit.USAGE
        )
    return target or ({"schema": schema} | described if described else None)


def _message(
    template: str | None, subject: str | None, html: Path | None, text: Path | None, sender: str | None
) -> dict[str, Any] | str:
    """What, as a draft has it; empty: nothing is said."""
    said = {
        "subject": subject,
        "html_file": html and str(html),
        "text_file": text and str(text),
        "sender": {"email": sender} if sender else None,
    }
    described = {key: value for key, value in said.items() if value is not None}
    if template is not None and described:
        raise Failure("--template names a message, --subject … describe one; use one", code=Exit.USAGE)
    return template or described


def as_fields(row: Campaign) -> dict[str, Any]:
    """A campaign as `--json` shows it."""
    return {
        "id": str(row.id),
        "name": row.name,
        "description": row.description,
        "goal": row.goal,
        "status": row.status,
        "ends": row.ends,
        "one_per_address": row.one_per_address,
        "topic_id": str(row.topic_id) if row.topic_id else None,
        "end_date": row.end_date.isoformat() if row.end_date else None,
        "flow_id": str(row.flow_id) if row.flow_id else None,
        "target_ids": row.target_ids,
        "created_at": row.created_at.isoformat(),
    }
