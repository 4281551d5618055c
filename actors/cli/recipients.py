"""`muster recipients` and `muster why`: who a campaign has, and what happened to one of them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actors.cli.output import Json, Limit, Next, emit, lines, moment, note, table
from actors.cli.watch import Campaign
from actors.cli.watching import in_words

if TYPE_CHECKING:
    from actors.cli.context import Opened
    from engine.insight.recipient_contacts import RecipientContact
    from state.tables import Recipient

__all__ = ["recipients", "why"]

_CSV = (
    "entity_id", "external_id", "title", "address", "automation_status", "attempt", "error_code", "error_text",
    "updated_at",
)  # fmt: skip


def recipients(
    context: typer.Context,
    campaign: Campaign,
    *,
    status: Annotated[
        list[str] | None, typer.Option(help="Only these: pending, in_progress, success, failed, cancelled.")
    ] = None,
    q: Annotated[
        str | None, typer.Option(help="Only those with this text in title, external id, e-mail or phone.")
    ] = None,
    limit: Limit = 25,
    next_: Next = None,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print all of them as CSV, for a spreadsheet.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List a campaign's recipients, their addresses, and what happened to each."""
    from actors.cli.context import opened
    from actors.cli.named_rows import find_campaign
    from engine.insight.recipient_contacts import contacts_of
    from engine.insight.recipients import list_recipients

    with opened(context) as muster:
        if as_csv:
            _print_csv(muster, campaign, status=status, q=q, after=next_)
            return
        with muster.read() as session:
            page = list_recipients(
                session,
                muster.org_id,
                find_campaign(session, muster.org_id, campaign).id,
                limit=limit,
                next=next_,
                known_by=q,
                automation_status=status or (),
            )
            known = contacts_of(session, muster.org_id, [row.entity_id for row in page.results])
    found = [_plain(row, known.get(row.entity_id)) for row in page.results]
    if as_json:
        emit({"results": found, "next": page.next, "total": page.total})
        return
    table(
        ("Recipient", "Title", "External id", "Address", "Status", "Attempt#", "Error", "Text"),
        [
            (
                one["entity_id"],
                one["title"],
                one["external_id"],
                one["address"],
                one["automation_status"],
                one["attempt"],
                one["error_code"],
                one["error_text"],
            )
            for one in found
        ],
    )
    note(f"{len(page.results)} of {page.total:,}" + (f"; go on with --next {page.next}" if page.next else ""))


def _print_csv(
    muster: Opened, campaign: str, *, status: list[str] | None, q: str | None, after: str | None
) -> None:
    """Every page of the list, each read by itself."""
    from actors.cli.csv_output import print_csv
    from actors.cli.named_rows import find_campaign
    from engine.insight.recipient_contacts import contacts_of
    from engine.insight.recipients import list_recipients

    header = True
    while True:
        with muster.read() as session:
            row = find_campaign(session, muster.org_id, campaign)
            page = list_recipients(
                session,
                muster.org_id,
                row.id,
                limit=1000,
                next=after,
                known_by=q,
                automation_status=status or (),
            )
            known = contacts_of(session, muster.org_id, [one.entity_id for one in page.results])
        print_csv(_CSV, [_plain(one, known.get(one.entity_id)) for one in page.results], header=header)
        header, after = False, page.next
        if after is None:
            return


def why(
    context: typer.Context,
    campaign: Campaign,
    recipient: Annotated[str, typer.Argument(help="An entity's id, external id or e-mail address.")],
    *,
    as_json: Json = False,
) -> None:
    """Tell one recipient's whole story in a campaign, or why there is none."""
    from actors.cli.context import opened
    from actors.cli.named_rows import find_campaign
    from engine.audience.entities import find_entity
    from engine.insight.recipient_report import recipient_report

    with opened(context) as muster, muster.read() as session:
        row = find_campaign(session, muster.org_id, campaign)
        report = recipient_report(session, row, find_entity(session, muster.org_id, recipient))
        said = {
            "entity_id": report.entity.id,
            "title": report.entity.title or report.entity.external_id or recipient,
            "campaign": row.name,
            "campaign_status": row.status,
            "verdict": report.verdict,
            "waiting": [one.as_dict() for one in report.waiting],
            "executions": [asdict(one) for one in report.executions],
            "timeline": [{"at": one.at, "what": one.what, "data": one.data} for one in report.timeline],
        }
    if as_json:
        emit(said)
        return
    lines(
        [
            ("recipient", f"{said['title']} ({said['entity_id']})"),
            ("campaign", f"{said['campaign']}: {said['campaign_status']}"),
            ("verdict", report.verdict),
            *(("waiting", in_words(one)) for one in report.waiting),
        ]
    )
    if report.timeline:
        table(
            ("When", "What", "Details"),
            [(moment(one.at), one.what, _details(one.data)) for one in report.timeline],
        )


def _details(data: dict[str, Any]) -> str:
    """What a person wants to read of an entry."""
    return ", ".join(f"{name} {value}" for name, value in data.items() if not name.endswith("_id"))


def _plain(row: Recipient, contact: RecipientContact | None) -> dict[str, Any]:
    return {
        "entity_id": str(row.entity_id),
        "title": row.title,
        "external_id": None if contact is None else contact.external_id,
        "address": None if contact is None else contact.address,
        "automation_status": row.status,
        "execution_id": str(row.current_execution_id) if row.current_execution_id else None,
        "attempt": row.attempt,
        "due_at": row.due_at.isoformat() if row.due_at else None,
        "error_code": row.error_code,
        "error_text": row.error_text,
        "portal_status": row.portal_status,
        "updated_at": row.updated_at.isoformat(),
    }
