"""`muster campaign`: make campaigns and lead them through their life."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from actors.cli import campaign_changes, campaign_creation
from actors.cli.campaign_creation import as_fields
from actors.cli.confirm import Yes, ask_before_start, require_answer
from actors.cli.failure import Exit, Failure
from actors.cli.output import Json, Limit, Next, emit, emit_page, lines, moment, note, note_next, table
from actors.cli.watch import Campaign
from actors.cli.watching import in_words

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from sqlalchemy.orm import Session

    from actors.cli.context import Opened

__all__ = ["app"]

app = typer.Typer(help="Make campaigns and lead them through their life.", no_args_is_help=True)
app.command()(campaign_creation.create)
app.command()(campaign_changes.update)
app.command()(campaign_changes.delete)
app.command()(campaign_changes.unschedule)
app.command()(campaign_changes.stats)

Percentage = Annotated[
    float, typer.Option(help="Of the audience, from its beginning; the rest may follow later.")
]
Priority = Annotated[str, typer.Option(help="low, normal or high: its share of the workers.")]


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
    from actors.cli.named_rows import find_campaign

    with opened(context) as muster:
        if asks:
            ask_before_start(muster, campaign, yes=yes)
        with muster.transaction() as session:
            row = find_campaign(session, muster.org_id, campaign)
            move(session, muster, row.id)
            session.refresh(row)
            moved = as_fields(row)
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
def resume(context: typer.Context, campaign: Campaign, *, yes: Yes = False, as_json: Json = False) -> None:
    """Go on after a pause, where it stood. Asks before."""
    from engine.campaigns import lifecycle

    require_answer(yes=yes)

    _move(
        context,
        campaign,
        lambda session, muster, id_: lifecycle.resume(
            session, muster.org_id, id_, window=muster.settings.window
        ),
        asks=True,
        yes=yes,
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
    """Deliver to a part of the audience, or to the rest of it. Asks before, unless it is a test."""
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
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Deliver at a time. The start is kept in the database and made once. Asks before."""
    from engine.kernel.instants import read_instant, refuse_past

    try:
        when = read_instant(at)
    except ValueError as error:
        raise Failure(f"TIME: {at!r} {error}", code=Exit.USAGE) from None
    refuse_past("TIME", when, datetime.now(UTC))
    require_answer(yes=yes)
    _execute(
        context,
        campaign,
        percentage=percentage,
        priority=priority,
        due_at=when,
        asks=True,
        yes=yes,
        as_json=as_json,
    )


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
    from actors.cli.choices import one_of
    from actors.cli.context import opened
    from actors.cli.named_rows import find_campaign
    from engine.campaigns.execute_campaign import execute as start
    from engine.delivery.jobs import PRIORITIES

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
    from actors.cli.named_rows import find_campaign
    from engine.campaigns.cloning import clone_campaign

    with opened(context) as muster, muster.transaction() as session:
        row = find_campaign(session, muster.org_id, campaign)
        made = as_fields(clone_campaign(session, muster.org_id, row.id, name=name))
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
    limit: Limit = 25,
    next_: Next = None,
    as_json: Json = False,
) -> None:
    """List campaigns, newest first, with how far they are."""
    from actors.cli.choices import one_of
    from actors.cli.context import opened
    from engine.campaigns.finding import list_campaigns
    from engine.insight.progress import campaign_progress
    from state.transitions import CampaignStatus

    statuses = [CampaignStatus(one_of("status", word, CampaignStatus)) for word in status or ()]
    with opened(context) as muster, muster.read() as session:
        page = list_campaigns(session, muster.org_id, limit=limit, next=next_, statuses=statuses, q=q)
        found = [(row, campaign_progress(session, muster.org_id, row.id)) for row in page.results]
    if as_json:
        emit_page(
            [as_fields(row) | {"total": going.total, "processed": going.processed} for row, going in found],
            page.next,
        )
        return
    table(
        ("Name", "Status", "Recipients#", "Done#", "Created", "Id"),
        [
            (row.name, row.status, going.total, going.processed, moment(row.created_at), row.id)
            for row, going in found
        ],
    )
    note_next(page.next)


@app.command()
def show(context: typer.Context, campaign: Campaign, *, as_json: Json = False) -> None:
    """Show one campaign: what it is made of, how far it is, and what went wrong."""
    from actors.cli.context import opened
    from actors.cli.named_rows import find_campaign
    from engine.insight.campaign_summary import campaign_summary

    with opened(context) as muster, muster.read() as session:
        row = find_campaign(session, muster.org_id, campaign)
        seen, plain = campaign_summary(session, row), as_fields(row)
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
