"""`muster retrigger`: deliver again to recipients that failed."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from actors.cli.failure import Exit, Failure
from actors.cli.output import Json, emit, table
from actors.cli.watch import Campaign

if TYPE_CHECKING:
    from actors.cli.context import Opened
    from engine.delivery.retrigger import Retriggered

__all__ = ["retrigger"]


def retrigger(
    context: typer.Context,
    campaign: Campaign,
    ids: Annotated[
        list[UUID] | None, typer.Argument(metavar="[ID]…", help="Recipients (entity ids).")
    ] = None,
    *,
    failed: Annotated[
        bool, typer.Option("--failed", help="Every failed recipient instead of a list.")
    ] = False,
    error_code: Annotated[
        str | None, typer.Option(metavar="CODE", help="Every recipient that failed with this code.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Deliver again to failed recipients, and to nobody else.

    Exit code 1 when some of the ids could not be retriggered; the others were.
    """
    from actors.cli.context import opened

    everybody = failed or error_code is not None
    if everybody == bool(ids):
        raise Failure(
            "say who: recipient ids, or --failed, or --error-code CODE",
            "`muster recipients CAMPAIGN --status failed` lists them",
            code=Exit.USAGE,
        )
    with opened(context) as muster:
        if everybody:
            count = _failed(muster, campaign, error_code)
            if as_json:
                emit({"retriggered": count})
            else:
                typer.echo(f"retriggered {count:,} recipients")
            return
        answers = _listed(muster, campaign, ids or [])
    if as_json:
        emit([_plain(answer) for answer in answers])
    else:
        table(
            ("Recipient", "Result", "Execution", "Reason"),
            [(one.recipient_id, one.result, one.execution_id, one.error) for one in answers],
        )
    others = Counter(answer.result for answer in answers)
    del others["success"]
    if others:
        reasons = ", ".join(f"{count} {result}" for result, count in sorted(others.items()))
        raise Failure(f"{others.total()} of {len(answers)} were not retriggered: {reasons}")


def _failed(muster: Opened, campaign: str, error_code: str | None) -> int:
    from actors.cli.named_rows import find_campaign
    from engine.delivery.retrigger import retrigger_failed

    with muster.transaction() as session:
        return retrigger_failed(
            session,
            muster.org_id,
            find_campaign(session, muster.org_id, campaign).id,
            window=muster.settings.window,
            slice_size=muster.settings.slice_size,
            error_code=error_code,
        )


def _listed(muster: Opened, campaign: str, ids: list[UUID]) -> list[Retriggered]:
    from actors.cli.named_rows import find_campaign
    from engine.delivery import retrigger as retriggering

    with muster.transaction() as session:
        return retriggering.retrigger(
            session,
            muster.org_id,
            find_campaign(session, muster.org_id, campaign).id,
            ids,
            window=muster.settings.window,
            slice_size=muster.settings.slice_size,
        )


def _plain(answer: Retriggered) -> dict[str, str]:
    plain = {"recipient_id": str(answer.recipient_id), "result": answer.result}
    if answer.execution_id is not None:
        plain["execution_id"] = str(answer.execution_id)
    if answer.error is not None:
        plain["error"] = answer.error
    return plain
