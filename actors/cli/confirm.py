"""Asking before messages leave: to how many, from whom, over which channel."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actors.cli.failure import Exit, Failure
from actors.cli.output import note

if TYPE_CHECKING:
    from actors.cli.context import Opened
    from engine.campaigns.preflight import Preflight

__all__ = ["Yes", "ask_before_made", "ask_before_start", "require_answer"]

Yes = Annotated[
    bool, typer.Option("--yes", "-y", help="Do not ask. Needed where standard input is no terminal.")
]

#: People that are looked at for the question; how many there are is counted of everybody.
_LOOKED_AT = 500


def can_ask() -> bool:
    """Whether somebody sits at a terminal."""
    return sys.stdin.isatty()


def require_answer(*, yes: bool, what: str = "this writes to people") -> None:
    """Where nobody can be asked, `--yes` must say that it is meant.

    Raises:
        Failure: it does not.
    """
    if not yes and not can_ask():
        raise Failure(
            f"{what}, and standard input is no terminal on which to ask",
            "say --yes; `muster plan` shows what a campaign would do",
            code=Exit.USAGE,
        )


def ask_before_start(muster: Opened, campaign: str, *, yes: bool, percentage: float | None = None) -> None:
    """Tell what starting a campaign means, and ask; with `yes`, tell it only.

    Args:
        campaign: Its id or name.

    Raises:
        Failure: there is none, or the answer is no.
    """
    from actors.cli.named_rows import find_campaign
    from actors.cli.plan import look_ahead
    from engine.insight.progress import campaign_progress

    with muster.read() as session:
        row = find_campaign(session, muster.org_id, campaign)
        found = look_ahead(session, muster, row, percentage=percentage, people=_LOOKED_AT)
        counts = campaign_progress(session, muster.org_id, row.id).counts
    _ask(found, left=counts["pending"] + counts["in_progress"], yes=yes)


def ask_before_made(muster: Opened, given: dict[str, Any], *, yes: bool) -> None:
    """The same of a campaign that is not made yet (see `actors.cli.draft`)."""
    from actors.cli.draft import make
    from actors.cli.plan import look_ahead

    with muster.runtime.database.begin() as session:
        found = look_ahead(session, muster, make(session, muster.org_id, given), people=_LOOKED_AT)
        session.rollback()
    _ask(found, yes=yes)


def _ask(found: Preflight, *, yes: bool, left: int = 0) -> None:
    """Ask.

    Args:
        left: Recipients of a run that is held, who are written to as well.
    """
    note(_in_words(found, left))
    for warning in found.warnings:
        note(f"warning: {warning}")
    if not yes and not typer.confirm("Go on?", err=True):
        raise Failure("nothing was started")


def _in_words(found: Preflight, left: int) -> str:
    channels = ", ".join(f"{one.name} ({one.kind})" for one in found.channels) or "no channel"
    senders = dict.fromkeys(sample.sender for sample in found.samples if sample.sender)
    sender = f", from {', '.join(senders)}" if senders else ""
    reached = found.already_reached - left
    earlier = f", beside {reached:,} of an earlier run" if reached > 0 else ""
    return f"{found.campaign}: {found.recipients + left:,} recipients{earlier}, over {channels}{sender}"
