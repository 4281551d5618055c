"""What comes back about e-mail (delivered, bounced, complained, opened, clicked, unsubscribed), put on the
recipients and into the engagement log.

Rules:
- A status only gets worse: delivered, bounced (transient, then permanent), complained. Reports arrive in any
  order, and a late `delivered` does not undo a complaint.
- Opens and clicks are counted; the latest 100 clicks keep their URL.
- A report with an event id is taken once; about somebody who is no recipient of the campaign: not at all.

What follows from a report (suppressing an address) is decided by whoever receives it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import select, update

from engine.insight.email import EmailStatus
from engine.insight.engagement import Engaged, Kind, Medium, known_events, note
from state.change import clock_of
from state.sets import among
from state.tables import Campaign, Recipient

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

__all__ = ["CLICKS_KEPT", "Feedback", "take_feedback"]

#: Clicks of one recipient that are kept with their URL; all of them are counted, and logged.
CLICKS_KEPT = 100

_KINDS = {
    "delivered": Kind.DELIVERED,
    "bounced": Kind.BOUNCED,
    "complained": Kind.COMPLAINED,
    "opened": Kind.READ,
    "clicked": Kind.CLICKED,
    "unsubscribed": Kind.UNSUBSCRIBED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """One report about one recipient's message."""

    entity_id: UUID
    kind: Literal["delivered", "bounced", "complained", "opened", "clicked", "unsubscribed"]
    at: datetime
    event_id: str | None = None
    """The reporter's id of it, unique in the organization."""
    bounce_type: Literal["permanent", "transient"] = "permanent"
    bounce_subtype: str | None = None
    complaint_type: str | None = None
    reason: str | None = None
    """For a person to read."""
    url: str | None = None
    """What was clicked."""
    raw: dict[str, Any] | None = None
    """The notification as it came."""


def take_feedback(session: Session, org_id: UUID, campaign_id: UUID, reports: Sequence[Feedback]) -> int:
    """Write these reports about one campaign's recipients; returns how many were new and about a recipient.

    The recipients are held until the transaction ends. A campaign that does not exist has none.
    """
    known = select(Campaign.id).where(Campaign.id == campaign_id, Campaign.org_id == org_id)
    # Held as a foreign key would, before its recipients: deleting it takes locks in the same order.
    if session.execute(known.with_for_update(read=True, key_share=True)).first() is None:
        return 0
    people = _held(session, campaign_id, {report.entity_id for report in reports})
    taken = known_events(session, org_id, [one.event_id for one in reports if one.event_id is not None])
    fresh: dict[UUID, list[Feedback]] = defaultdict(list)
    for report in reports:
        if report.entity_id not in people or report.event_id in taken:
            continue
        if report.event_id is not None:
            taken.add(report.event_id)
        fresh[report.entity_id].append(report)
    if not fresh:
        return 0
    now = clock_of(session).now()
    changes = [
        {
            "campaign_id": campaign_id,
            "entity_id": entity_id,
            "updated_at": now,
            **_after(people[entity_id], sorted(its, key=lambda one: one.at)),
        }
        for entity_id, its in sorted(fresh.items())
    ]
    session.execute(update(Recipient), changes)
    new = [report for its in fresh.values() for report in its]
    note(session, org_id, campaign_id, [_engaged(report) for report in new])
    return len(new)


def _held(session: Session, campaign_id: UUID, entity_ids: Iterable[UUID]) -> dict[UUID, Recipient]:
    found = session.execute(
        select(Recipient)
        .where(Recipient.campaign_id == campaign_id, among(session, Recipient.entity_id, entity_ids))
        .order_by(Recipient.entity_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).scalars()
    return {row.entity_id: row for row in found}


def _rank(status: str | None, bounce_type: str | None) -> int:
    """How bad it is."""
    ranks = {EmailStatus.DELIVERED: 1, EmailStatus.BOUNCED: 2, EmailStatus.COMPLAINED: 4}
    if status is None:
        return 0
    return ranks[EmailStatus(status)] + (status == EmailStatus.BOUNCED and bounce_type == "permanent")


def _after(row: Recipient, reports: Sequence[Feedback]) -> dict[str, Any]:
    """The columns as they are after the reports, oldest first."""
    values: dict[str, Any] = {
        "email_status": row.email_status,
        "email_status_updated_at": row.email_status_updated_at,
        "email_bounce_type": row.email_bounce_type,
    }
    details = dict(row.email_feedback or {})
    for report in reports:
        if report.kind in ("delivered", "bounced", "complained"):
            bounce_type = report.bounce_type if report.kind == "bounced" else None
            current = _rank(values["email_status"], values["email_bounce_type"])
            if _rank(report.kind, bounce_type) > current:
                values |= {"email_status": report.kind, "email_status_updated_at": report.at}
                if bounce_type is not None:
                    values["email_bounce_type"] = bounce_type
                details |= _told(report)
        elif report.kind == "opened":
            _count(details, "open", report.at)
            details["last_opened_at"] = max(details.get("last_opened_at", ""), _text(report.at))
        elif report.kind == "clicked":
            _count(details, "click", report.at)
            if report.url is not None:
                click = {"url": report.url, "clicked_at": _text(report.at)}
                details["clicked_links"] = [*details.get("clicked_links", ()), click][-CLICKS_KEPT:]
        else:
            details.setdefault("unsubscribed_at", _text(report.at))
    return {**values, "email_feedback": details}


def _told(report: Feedback) -> dict[str, Any]:
    told = {
        "bounce_subtype": report.bounce_subtype,
        "complaint_type": report.complaint_type,
        "bounce_reason": report.reason or report.complaint_type,
        "send_error": report.raw if report.kind != "delivered" else None,
    }
    return {name: value for name, value in told.items() if value is not None}


def _count(details: dict[str, Any], what: str, at: datetime) -> None:
    first = "first_opened_at" if what == "open" else "first_clicked_at"
    details[f"{what}_count"] = details.get(f"{what}_count", 0) + 1
    details[first] = min(details.get(first, _text(at)), _text(at))


def _text(at: datetime) -> str:
    """ISO 8601 in UTC with a fixed number of digits, so that texts order as instants do."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _engaged(report: Feedback) -> Engaged:
    data = {
        "bounce_type": report.bounce_type if report.kind == "bounced" else None,
        "reason": report.reason,
        "url": report.url,
    }
    given = {name: value for name, value in data.items() if value is not None}
    return Engaged(
        report.entity_id, Medium.EMAIL, _KINDS[report.kind], report.at, report.event_id, given or None
    )
