"""`muster campaign`: make campaigns and lead them through their life."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actors.cli import campaign_changes
from actors.cli.confirm import Yes, ask_before_made, ask_before_start, require_answer
from actors.cli.failure import Exit, Failure
from actors.cli.output import Json, emit, lines, moment, note, table
from actors.cli.watch import Campaign
from actors.cli.watching import in_words

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

    from actors.cli.context import Opened
    from state.tables import Campaign as Row

__all__ = ["app"]

app = typer.Typer(help="Make campaigns and lead them through their life.", no_args_is_help=True)
app.command()(campaign_changes.update)
app.command()(campaign_changes.delete)
app.command()(campaign_changes.unschedule)
app.command()(campaign_changes.stats)

TextFile = typer.Option(exists=True, dir_okay=False, readable=True)
Percentage = Annotated[
    float, typer.Option(help="Of the audience, from its beginning; the rest may follow later.")
]
Priority = Annotated[str, typer.Option(help="low, normal or high: its share of the workers.")]


@app.command()
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
            made = _plain(campaign)
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


def _move(
    context: typer.Context,
    campaign: str,
    move: Callable[[Session, Opened, UUID], object],
    *,
    said: str | None = None,
    asks: bool = False,
    yes: bool = False,
    as_json: bool,
) -> None:
    """Move a campaign, found by what it is called; where the move `asks`, after telling what it means."""
    from actors.cli.context import opened
    from actors.cli.finding import find_campaign

    with opened(context) as muster:
        if asks:
            ask_before_start(muster, campaign, yes=yes)
        with muster.transaction() as session:
            row = find_campaign(session, muster.org_id, campaign)
            move(session, muster, row.id)
            session.refresh(row)
            moved = _plain(row)
    if as_json:
        emit(moved)
    else:
        typer.echo(f"{moved['name']}: {said or moved['status']}")


@app.command()
def activate(context: typer.Context, campaign: Campaign, *, yes: Yes = False, as_json: Json = False) -> None:
    """Deliver to everybody who matches now; a paused campaign goes on instead. Asks before."""
    from engine.campaigns import lifecycle

    require_answer(yes=yes)
    _move(
        context,
        campaign,
        lambda session, muster, id_: lifecycle.activate(
            session, muster.org_id, id_, window=muster.settings.window
        ),
        asks=True,
        yes=yes,
        as_json=as_json,
    )


@app.command()
def pause(context: typer.Context, campaign: Campaign, *, as_json: Json = False) -> None:
    """Hold it: nothing more is sent, nobody is given up."""
    from engine.campaigns import lifecycle

    _move(
        context,
        campaign,
        lambda session, muster, id_: lifecycle.pause(session, muster.org_id, id_),
        as_json=as_json,
    )


@app.command()
def resume(context: typer.Context, campaign: Campaign, *, as_json: Json = False) -> None:
    """Go on after a pause, where it stood."""
    from engine.campaigns import lifecycle

    _move(
        context,
        campaign,
        lambda session, muster, id_: lifecycle.resume(
            session, muster.org_id, id_, window=muster.settings.window
        ),
        as_json=as_json,
    )


@app.command()
def deactivate(context: typer.Context, campaign: Campaign, *, as_json: Json = False) -> None:
    """Stop it: who was not reached is cancelled; activating it again makes a new job."""
    from engine.campaigns import lifecycle

    _move(
        context,
        campaign,
        lambda session, muster, id_: lifecycle.deactivate(session, muster.org_id, id_),
        said="deactivated; who was not reached is cancelled",
        as_json=as_json,
    )


@app.command()
def cancel(context: typer.Context, campaign: Campaign, *, as_json: Json = False) -> None:
    """End it for good."""
    from engine.campaigns import lifecycle

    _move(
        context,
        campaign,
        lambda session, muster, id_: lifecycle.cancel(session, muster.org_id, id_),
        as_json=as_json,
    )


@app.command()
def complete(context: typer.Context, campaign: Campaign, *, as_json: Json = False) -> None:
    """End it as done: what it still had to send is cancelled."""
    from engine.campaigns import lifecycle

    _move(
        context,
        campaign,
        lambda session, muster, id_: lifecycle.complete(session, muster.org_id, id_),
        as_json=as_json,
    )


@app.command()
def execute(
    context: typer.Context,
    campaign: Campaign,
    *,
    percentage: Percentage = 100.0,
    priority: Priority = "normal",
    test: Annotated[bool, typer.Option("--test", help="Render and check everything; send nothing.")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Deliver to a part of the audience, or to whoever is left of it. Asks before, unless it is a test."""
    if not test:
        require_answer(yes=yes)
    _execute(
        context,
        campaign,
        percentage=percentage,
        priority=priority,
        test=test,
        asks=not test,
        yes=yes,
        as_json=as_json,
    )


@app.command()
def schedule(
    context: typer.Context,
    campaign: Campaign,
    at: Annotated[
        str, typer.Argument(metavar="TIME", help="2026-11-24T10:00, in UTC unless it says otherwise.")
    ],
    *,
    percentage: Percentage = 100.0,
    priority: Priority = "normal",
    as_json: Json = False,
) -> None:
    """Deliver at a time. The start is kept in the database and made once."""
    from engine.instants import read_instant

    try:
        when = read_instant(at)
    except ValueError as error:
        raise Failure(f"TIME: {at!r} {error}", code=Exit.USAGE) from None
    _execute(context, campaign, percentage=percentage, priority=priority, due_at=when, as_json=as_json)


def _execute(
    context: typer.Context,
    campaign: str,
    *,
    percentage: float,
    priority: str,
    due_at: datetime | None = None,
    test: bool = False,
    asks: bool = False,
    yes: bool = False,
    as_json: bool,
) -> None:
    from actors.cli.context import opened
    from actors.cli.finding import find_campaign
    from actors.cli.words import one_of
    from engine.campaigns.execution import execute as start
    from engine.campaigns.jobs import PRIORITIES

    one_of("priority", priority, PRIORITIES)
    with opened(context) as muster:
        if asks:
            ask_before_start(muster, campaign, yes=yes, percentage=percentage)
        with muster.transaction() as session:
            row = find_campaign(session, muster.org_id, campaign)
            done = start(
                session,
                muster.org_id,
                row.id,
                window=muster.settings.window,
                priority=priority,
                reach=percentage,
                due_at=due_at,
                test=test,
            )
            said = {
                "id": str(row.id),
                "name": row.name,
                "execution_id": str(done.execution_id),
                "status": done.status,
                "starts_at": done.starts_at,
                "estimated_completion": done.estimated_completion,
            }
    if as_json:
        emit(said)
        return
    at = f" for {moment(done.starts_at)}" if done.status == "scheduled" else ""
    typer.echo(f"{said['name']}: {done.status}{at}")
    note(f"next: muster watch {said['id']}")


@app.command()
def clone(
    context: typer.Context,
    campaign: Campaign,
    name: Annotated[str | None, typer.Argument(help="What the copy is called. [default: … (Copy)]")] = None,
    *,
    as_json: Json = False,
) -> None:
    """Make a draft of the same audience and messages."""
    from actors.cli.context import opened
    from actors.cli.finding import find_campaign
    from engine.campaigns.cloning import clone_campaign

    with opened(context) as muster, muster.transaction() as session:
        row = find_campaign(session, muster.org_id, campaign)
        made = _plain(clone_campaign(session, muster.org_id, row.id, name=name))
    if as_json:
        emit(made)
    else:
        typer.echo(f"created campaign {made['name']} ({made['id']}), {made['status']}")


@app.command("list")
def list_(
    context: typer.Context,
    *,
    status: Annotated[list[str] | None, typer.Option(help="Only these statuses.")] = None,
    q: Annotated[str | None, typer.Option(help="Only those with this text in name or description.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 25,
    as_json: Json = False,
) -> None:
    """List campaigns, newest first, with how far they are."""
    from actors.cli.context import opened
    from actors.cli.words import one_of
    from engine.campaigns.campaigns import list_campaigns
    from engine.insight.progress import campaign_progress
    from state.transitions import CampaignStatus

    statuses = [CampaignStatus(one_of("status", word, CampaignStatus)) for word in status or ()]
    with opened(context) as muster, muster.read() as session:
        page = list_campaigns(session, muster.org_id, limit=limit, statuses=statuses, q=q)
        found = [(row, campaign_progress(session, muster.org_id, row.id)) for row in page.results]
    if as_json:
        emit([_plain(row) | {"total": going.total, "processed": going.processed} for row, going in found])
        return
    table(
        ("Name", "Status", "Recipients#", "Done#", "Created", "Id"),
        [
            (row.name, row.status, going.total, going.processed, moment(row.created_at), row.id)
            for row, going in found
        ],
    )
    if page.total > len(found):
        note(f"{page.total - len(found)} more; --limit shows them")


@app.command()
def show(context: typer.Context, campaign: Campaign, *, as_json: Json = False) -> None:
    """Show one campaign: what it is made of, how far it is, and what went wrong."""
    from actors.cli.context import opened
    from actors.cli.finding import find_campaign
    from engine.insight.campaign_summary import campaign_summary

    with opened(context) as muster, muster.read() as session:
        row = find_campaign(session, muster.org_id, campaign)
        seen, plain = campaign_summary(session, row), _plain(row)
    going = seen.outlook
    if as_json:
        emit(
            plain
            | {
                "targets": seen.targets,
                "flow": seen.flow,
                "channels": seen.channels,
                "job_status": going.job.status if going.job else None,
                "counts": going.progress.shown,
                "total": going.progress.total,
                "estimated_completion": going.completion,
                "waiting": [one.as_dict() for one in going.waiting],
                "errors": [asdict(one) for one in seen.errors],
            }
        )
        return
    lines(
        [
            ("name", plain["name"]),
            ("id", plain["id"]),
            ("status", plain["status"]),
            ("description", plain["description"]),
            ("goal", plain["goal"]),
            ("targets", ", ".join(seen.targets) or "none"),
            ("flow", seen.flow or "none"),
            ("channel", ", ".join(seen.channels) or None),
            ("ends", plain["end_date"] or plain["ends"]),
            ("job", going.job.status if going.job else None),
            *(("waiting", in_words(one)) for one in going.waiting),
            ("done at", moment(going.completion) if going.completion else None),
        ]
    )
    table(("Status", "Recipients#"), going.progress.shown.items())
    if seen.errors:
        table(("Error", "Status", "Recipients#"), [(one.code, one.status, one.count) for one in seen.errors])


def _plain(row: Row) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "name": row.name,
        "description": row.description,
        "goal": row.goal,
        "status": row.status,
        "ends": row.ends,
        "one_per_address": row.one_per_address,
        "end_date": row.end_date.isoformat() if row.end_date else None,
        "flow_id": str(row.flow_id) if row.flow_id else None,
        "target_ids": row.target_ids,
        "created_at": row.created_at.isoformat(),
    }
