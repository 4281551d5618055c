"""`muster watch`: look on while a campaign is delivered."""

from __future__ import annotations

from typing import Annotated

import typer

from actors.cli.failure import Failure
from actors.cli.output import Json, table

__all__ = ["Campaign", "watch"]

Campaign = Annotated[str, typer.Argument(metavar="CAMPAIGN", help="Its id, or its name if only one has it.")]


def watch(
    context: typer.Context,
    campaign: Campaign,
    *,
    interval: Annotated[float, typer.Option(help="Seconds between two looks.", min=0.05, max=60)] = 0.5,
    as_json: Json = False,
) -> None:
    """Show progress live, with rate, time left and the reason for waiting, until nothing is left to do.

    Exit code 1 when the job failed or was cancelled; recipients that failed are the summary's matter.
    """
    from actors.cli.context import opened
    from actors.cli.display import show, summary
    from actors.cli.named_rows import find_campaign
    from actors.cli.watching import follow

    with opened(context) as muster:
        with muster.read() as session:
            campaign_id = find_campaign(session, muster.org_id, campaign).id
        last = show(follow(muster.runtime, muster.org_id, campaign_id, interval=interval), as_json=as_json)
    if not as_json:
        table(
            ("Status", "Recipients#", "Share#"), summary(last), title=f"{last.name}: {last.campaign_status}"
        )
    if last.job_status in ("failed", "cancelled"):
        raise Failure(f"the job of {last.name!r} is {last.job_status}")
