"""`muster plan`: what a campaign would do, before anybody is written to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from actors.cli.failure import Exit, Failure
from actors.cli.output import Json, emit, lines, moment, note, table

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from actors.cli.context import Opened
    from engine.campaigns.preflight import Preflight
    from state.tables import Campaign

__all__ = ["look_ahead", "plan", "show_plan"]

_FILES = (".yaml", ".yml", ".json")


def plan(
    context: typer.Context,
    campaign: Annotated[
        str, typer.Argument(metavar="CAMPAIGN|FILE", help="Its id or name, or a file that describes one.")
    ],
    *,
    percentage: Annotated[
        float | None, typer.Option(min=0.0, max=100.0, help="Of the audience. [default: as it is set]")
    ] = None,
    people: Annotated[
        int, typer.Option(min=1, help="Look at so many recipients one by one, at most; count the others.")
    ] = 100_000,
    as_json: Json = False,
) -> None:
    """Say what a campaign would do: to how many, over what, how long, at what cost, and what would fail (exit code 1).

    Nothing is sent and nothing is kept: a campaign in a file is made, looked at, and taken back.
    """
    from actors.cli.context import opened
    from actors.cli.named_rows import find_campaign

    with opened(context) as muster:
        if campaign.lower().endswith(_FILES):
            found = _of_file(muster, Path(campaign), percentage, people)
        else:
            with muster.read() as session:
                row = find_campaign(session, muster.org_id, campaign)
                found = look_ahead(session, muster, row, percentage=percentage, people=people)
    if as_json:
        emit(found.as_dict())
    else:
        show_plan(found)
    if found.fails:
        raise typer.Exit(Exit.FAILED)


def look_ahead(
    session: Session,
    muster: Opened,
    campaign: Campaign,
    *,
    percentage: float | None = None,
    people: int = 100_000,
) -> Preflight:
    """What the campaign would do now."""
    from engine.campaigns.preflight import preflight
    from engine.channels.port import ChannelContext
    from engine.kernel.secrets import Secrets

    return preflight(
        session,
        campaign,
        secrets=Secrets.of(muster.settings),
        channel_context=ChannelContext.of(muster.settings, muster.runtime.database),
        reach=percentage,
        most=people,
    )


def _of_file(muster: Opened, path: Path, percentage: float | None, people: int) -> Preflight:
    """Of a campaign that is made, looked at and taken back."""
    from actors.cli.draft import make, read_file

    if not path.is_file():
        raise Failure(f"there is no file {path}", code=Exit.USAGE)
    given = read_file(path)
    with muster.runtime.database.begin() as session:
        made = make(session, muster.org_id, given)
        found = look_ahead(session, muster, made, percentage=percentage, people=people)
        session.rollback()
    return found


def show_plan(found: Preflight) -> None:
    """Print it for a person."""
    about = f" (counts of a sample of {found.looked_at:,}, scaled up)" if found.sampled else ""
    lines(
        [
            ("campaign", f"{found.campaign}: {found.status}"),
            ("match", f"{found.matched:,}"),
            ("not meant", f"{found.beyond_reach:,} beyond the percentage" if found.beyond_reach else None),
            ("had it", f"{found.already_reached:,} in an earlier run" if found.already_reached else None),
            ("recipients", f"{found.recipients:,}"),
            ("written to", f"{found.written_to:,}{about}"),
            ("twice", _twice(found)),
            ("no zone", f"{found.without_zone:,}" if found.without_zone else None),
            ("takes", _takes(found)),
            ("costs", f"{found.cost:,.2f}" if found.cost else None),
        ]
    )
    if found.excluded:
        table(
            ("Not written to", "Recipients#", "Recorded as", "Why"),
            [(one.code, one.count, one.status, one.message) for one in found.excluded],
        )
    for channel in found.channels:
        table(
            (f"{channel.name} ({channel.kind})", "Messages#"),
            [*channel.domains.items(), ("all", channel.messages)],
        )
    for sample in found.samples:
        typer.echo(f"\n--- {sample.title or sample.entity_id}, {sample.address} over {sample.channel}")
        lines([("from", sample.sender), ("subject", sample.subject or None)])
        typer.echo(sample.text or sample.html or "")
    for one in found.shared:
        note(f"twice: {one.address} is the address of {', '.join(map(str, one.entity_ids))}")
    for warning in found.warnings:
        note(f"warning: {warning}")
    for error in found.errors:
        note(f"error: {error}")


def _twice(found: Preflight) -> str | None:
    if not found.shared_addresses:
        return None
    return f"{found.shared_addresses:,} addresses, {found.repeated_messages:,} messages more than one each"


def _takes(found: Preflight) -> str:
    if found.ends_at is None or found.seconds is None:
        return "nobody can say"
    return f"{_span(found.seconds)}, until {moment(found.ends_at)}"


def _span(seconds: float) -> str:
    from datetime import timedelta

    return str(timedelta(seconds=round(seconds)))
