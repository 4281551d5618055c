"""`muster top`: processes, running campaigns, channels and work that waits, live in the terminal."""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actors.cli.output import Json, console, emit, moment

if TYPE_CHECKING:
    from rich.console import RenderableType
    from sqlalchemy.orm import Session

    from engine.insight.operations import Operations
    from engine.insight.overview import Overview

__all__ = ["top"]

_BAR = 24


def top(
    context: typer.Context,
    *,
    interval: Annotated[float, typer.Option(help="Seconds between two looks.", min=0.1, max=60)] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Look once, and end.")] = False,
    as_json: Json = False,
) -> None:
    """Show processes, running campaigns, channels and work that waits, until Ctrl-C.

    Where standard output is no terminal, and with --json, it looks once.
    """
    from rich.live import Live

    from actors.cli.context import opened

    out = console()
    with opened(context) as muster:

        def look() -> tuple[Overview, Operations]:
            with muster.read() as session:
                return _look(session, muster.org_id)

        if as_json:
            emit(_plain(*look()))
            return
        if once or not out.is_terminal:
            out.print(_drawn(*look()))
            return
        pause = Event()
        with Live(_drawn(*look()), console=out, screen=True, auto_refresh=False) as live:
            while not pause.wait(interval):
                live.update(_drawn(*look()), refresh=True)


def _look(session: Session, org_id: Any) -> tuple[Overview, Operations]:
    from engine.insight.operations import operations
    from engine.insight.overview import overview

    return overview(session, org_id), operations(session, org_id)


def _drawn(seen: Overview, work: Operations) -> RenderableType:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from engine.insight.channel_states import ChannelState, channel_state

    head = Text(f"{moment(seen.at)}   sent in 24 h {seen.sent:,}   failed {seen.failed:,}")
    head.append(f"   {seen.per_minute:,.0f}/min\n", style="bold")
    for process in seen.processes:
        style = "red" if process.missing else ("green" if process.running else "dim")
        head.append(f"{process.kind} {process.running}   ", style=style)
    if len(work.versions) > 1:
        versions = ", ".join(
            f"{count} of {one or 'an unknown version'}" for one, count in work.versions.items()
        )
        head.append(f"versions: {versions}", style="yellow")
    late = 0.0 if work.oldest_due is None else max(0.0, (seen.at - work.oldest_due).total_seconds())
    head.append(
        f"slices: {work.leased} leased, {work.due} due, {work.ready - work.due} wait; oldest due {late:.0f} s"
    )
    if work.expired:
        head.append(f"; {work.expired} leases expired", style="red")
    campaigns = Table(
        "Campaign", "", "Done", "A minute", "Left", "Waits for", expand=True, box=None, title_justify="left"
    )
    for one in seen.running:
        progress = one.outlook.progress
        share = progress.processed / progress.total if progress.total else 0.0
        left = one.outlook.seconds_left
        campaigns.add_row(
            Text(one.name),
            Text("━" * round(share * _BAR), style="green")
            + Text("━" * (_BAR - round(share * _BAR)), style="dim"),
            f"{progress.processed:,}/{progress.total:,}{'' if progress.planned else '+'}",
            f"{one.outlook.per_minute:,.0f}",
            "" if left is None else f"{left:,.0f} s",
            Text("; ".join(waiting.reason for waiting in one.outlook.waiting)),
        )
    if not seen.running:
        campaigns.add_row(Text("nothing runs", style="dim"))
    channels = Table("Channel", "Kind", "State", "Why", expand=True, box=None)
    for channel in seen.channels:
        state = channel_state(channel, seen.at)
        style = {ChannelState.WORKING: "green", ChannelState.BREAKER: "red"}.get(state, "yellow")
        reason = channel.blocked_reason if state not in (ChannelState.WORKING, ChannelState.SLOWED) else None
        channels.add_row(
            Text(channel.name),
            channel.kind,
            Text(state, style=style),
            Text(reason or ""),
        )
    failures = Table("Failed in 24 h", "Recipients", "Campaign", expand=True, box=None)
    for failure in seen.failures:
        failures.add_row(Text(failure.code, style="red"), f"{failure.recipients:,}", Text(failure.campaign))
    parts: list[RenderableType] = [head, "", campaigns, "", channels]
    if seen.failures:
        parts += ["", failures]
    return Group(*parts)


def _plain(seen: Overview, work: Operations) -> dict[str, Any]:
    from engine.insight.channel_states import channel_state

    return {
        "at": seen.at.isoformat(),
        "sent_in_24_hours": seen.sent,
        "failed_in_24_hours": seen.failed,
        "per_minute": seen.per_minute,
        "processes": {one.kind: one.running for one in seen.processes},
        "versions": dict(work.versions),
        "slices": {"leased": work.leased, "due": work.due, "ready": work.ready, "expired": work.expired},
        "oldest_due": None if work.oldest_due is None else work.oldest_due.isoformat(),
        "campaigns": [
            {
                "id": str(one.id),
                "name": one.name,
                "status": one.status,
                "processed": one.outlook.progress.processed,
                "total": one.outlook.progress.total,
                "per_minute": one.outlook.per_minute,
                "eta_seconds": one.outlook.seconds_left,
                "waiting": [waiting.as_dict() for waiting in one.outlook.waiting],
            }
            for one in seen.running
        ],
        "channels": [
            {"name": one.name, "kind": one.kind, "state": channel_state(one, seen.at)}
            for one in seen.channels
        ],
        "failures": [
            {"code": one.code, "recipients": one.recipients, "campaign": one.campaign}
            for one in seen.failures
        ],
    }
