"""`muster campaign update|delete|unschedule|stats`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from actors.cli.confirm import Yes, require_answer
from actors.cli.failure import Failure
from actors.cli.fields import Fields, given
from actors.cli.output import Json, emit, lines, note, table
from actors.cli.watch import Campaign

if TYPE_CHECKING:
    from engine.insight.statistics import Counts

__all__ = ["delete", "stats", "unschedule", "update"]


def update(
    context: typer.Context,
    campaign: Campaign,
    *,
    name: Annotated[str | None, typer.Option(help="What it is called.")] = None,
    description: Annotated[str | None, typer.Option()] = None,
    goal: Annotated[str | None, typer.Option()] = None,
    end_date: Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="Its last day, in UTC.")] = None,
    fields: Fields = None,
) -> None:
    """Change what a campaign is; what is not named stays. A running job keeps its audience and flow."""
    from actors.cli.context import opened
    from actors.cli.named_rows import find_campaign
    from engine.campaigns.campaigns import CampaignChange, update_campaign
    from engine.kernel.inputs import read

    change = given(fields, name=name, description=description, goal=goal, end_date=end_date)
    with opened(context) as muster, muster.transaction() as session:
        row = find_campaign(session, muster.org_id, campaign)
        row = update_campaign(session, muster.org_id, row.id, read(CampaignChange, change))
        typer.echo(f"{row.name}: changed")


def delete(context: typer.Context, campaign: Campaign, *, yes: Yes = False) -> None:
    """Delete a campaign with its recipients and what is known of them. Refused while it delivers. Asks before."""
    from actors.cli.context import opened
    from actors.cli.named_rows import find_campaign
    from engine.campaigns.campaigns import delete_campaign
    from engine.insight.progress import campaign_progress
    from engine.kernel.rule_violations import RuleViolation

    require_answer(yes=yes, what="this deletes what is known of its recipients")
    with opened(context) as muster:
        with muster.read() as session:
            row = find_campaign(session, muster.org_id, campaign)
            total = campaign_progress(session, muster.org_id, row.id).total
        if not yes and not typer.confirm(f"Delete {row.name} and its {total:,} recipients?", err=True):
            raise Failure("nothing was deleted")
        with muster.transaction() as session:
            try:
                delete_campaign(session, muster.org_id, row.id)
            except RuleViolation as error:
                raise Failure(
                    f"{error.code}: {error}", f"end it before: muster campaign cancel {row.id}"
                ) from None
    typer.echo(f"{row.name}: deleted")


def unschedule(context: typer.Context, campaign: Campaign) -> None:
    """Call off the start that a campaign waits for."""
    from actors.cli.context import opened
    from actors.cli.named_rows import find_campaign
    from engine.campaigns.schedules import call_off
    from engine.delivery.campaign_moves import locked

    with opened(context) as muster, muster.transaction() as session:
        row = find_campaign(session, muster.org_id, campaign)
        locked(session, muster.org_id, row.id)
        if not call_off(session, muster.org_id, row.id, f"called off by {muster.author.name}"):
            raise Failure(f"{row.name} waits for no start", "`muster campaign schedule` makes one")
        typer.echo(f"{row.name}: its start was called off")


def stats(
    context: typer.Context,
    campaign: Campaign,
    *,
    period: Annotated[str, typer.Option(help="1h, 24h, 7d, 30d or all.")] = "all",
    as_json: Json = False,
) -> None:
    """Show how a campaign did: messages, reads, clicks, conversions, cost and revenue; by target and variant."""
    from actors.cli.context import opened
    from actors.cli.named_rows import find_campaign
    from engine.insight.statistics import statistics

    with opened(context) as muster, muster.read() as session:
        row = find_campaign(session, muster.org_id, campaign)
        found = statistics(session, muster.org_id, row.id, period)
    if as_json:
        emit(
            {
                "overview": asdict(found.overview),
                "timeline": [{"at": one.key, **asdict(one.counts)} for one in found.timeline],
                "segments": [{"name": one.name, **asdict(one.counts)} for one in found.segments],
                "variants": [asdict(one) for one in found.variants],
            }
        )
        return
    counted = [(name, _shown(value)) for name, value in asdict(found.overview).items() if value]
    if not counted:
        note("nothing was sent yet" if found.since is None else f"nothing happened within {period}")
    lines(counted)
    for title, parts in (("Target", found.segments), ("Variant", found.variants)):
        if len(parts) > 1 or title == "Variant":
            _parts(title, [(part.name, part.counts) for part in parts])


def _shown(value: object) -> object:
    from engine.insight.statistics import amount

    if isinstance(value, dict):
        return ", ".join(
            f"{amount(currency, units):,.2f} {currency}".strip() for currency, units in value.items()
        )
    return f"{value:,}"


def _parts(title: str, parts: list[tuple[str, Counts]]) -> None:
    if parts:
        table(
            (title, "Sent#", "Failed#", "Excluded#", "Read#", "Clicked#", "Converted#"),
            [
                (name, one.sent, one.failed, one.excluded, one.read, one.clicked, one.converted)
                for name, one in parts
            ],
        )
