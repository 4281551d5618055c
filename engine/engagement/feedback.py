"""What comes back about messages (delivered, bounced, complained, opened, clicked, replied, unsubscribed), put into the
engagement log and, of e-mail, on the recipients.

Rules:
- A status only gets worse: delivered, bounced (transient, then permanent), complained. Reports arrive in any
  order, and a late `delivered` does not undo a complaint.
- Opens and clicks are counted; the latest 100 clicks keep their URL. What a scanner did is in the log alone.
- Conversions, replies and delays are in the log and the sums alone.
- A report with an event id is taken once; an unsubscribe once until it is undone; about somebody who is no recipient
  of the campaign: nothing at all.
- Any number of reports about any campaigns costs the same number of statements.

What follows from a report (suppressing an address) is decided by its receiver.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import select, update

from engine.engagement.email import EmailStatus
from engine.engagement.engagement import Engaged, Kind, Medium, known_events, note
from engine.engagement.erased import erased_among
from engine.engagement.messages import pairs
from state.change import clock_of
from state.sets import among
from state.tables import Campaign, Recipient

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.engagement.messages import Pair

__all__ = ["CLICKS_KEPT", "Feedback", "FeedbackKind", "held", "take_feedback"]

#: Clicks of one recipient that are kept with their URL; all of them are counted, and logged.
CLICKS_KEPT = 100

_KINDS = {
    "delivered": Kind.DELIVERED,
    "bounced": Kind.BOUNCED,
    "complained": Kind.COMPLAINED,
    "opened": Kind.READ,
    "clicked": Kind.CLICKED,
    "unsubscribed": Kind.UNSUBSCRIBED,
    "resubscribed": Kind.RESUBSCRIBED,
    "replied": Kind.REPLIED,
    "delayed": Kind.DELAYED,
    "converted": Kind.CONVERTED,
}

#: What leaves the recipient as it is.
_LOGGED = frozenset(("replied", "delayed", "converted"))

FeedbackKind = Literal[
    "delivered",
    "delayed",
    "bounced",
    "complained",
    "opened",
    "clicked",
    "unsubscribed",
    "resubscribed",
    "replied",
    "converted",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """One report about one recipient's message."""

    campaign_id: UUID
    entity_id: UUID
    kind: FeedbackKind
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
    touchpoint_id: UUID | None = None
    """The message it is about; absent: the latest before it."""
    channel: Medium = Medium.EMAIL
    bot: str | None = None
    """Why it was no person who opened or clicked."""
    proxy: str | None = None
    """Whose picture proxy it came through."""
    revenue: int | None = None
    """Of a conversion, in the currency's smallest unit."""
    currency: str | None = None
    name: str | None = None
    """What a conversion is called."""


def take_feedback(session: Session, org_id: UUID, reports: Sequence[Feedback]) -> list[Feedback]:
    """Write these reports; returns those that were new and about a recipient, in their order.

    The recipients are held until the transaction ends. A campaign that does not exist has none.
    """
    if not reports:
        return []
    people = held(session, org_id, {(one.campaign_id, one.entity_id) for one in reports})
    taken = known_events(session, org_id, [one.event_id for one in reports if one.event_id is not None])
    gone = {pair for pair, row in people.items() if (row.email_feedback or {}).get("unsubscribed_at")}
    erased = erased_among(session, org_id, {entity_id for _, entity_id in people})
    new: list[Feedback] = []
    for report in sorted(reports, key=lambda one: one.at):
        pair = (report.campaign_id, report.entity_id)
        if pair not in people or report.event_id in taken or not _changes(report, pair, gone):
            continue
        if report.event_id is not None:
            taken.add(report.event_id)
        new.append(report)
    by_recipient: dict[Pair, list[Feedback]] = defaultdict(list)
    for report in new:
        if report.channel == Medium.EMAIL and report.bot is None and report.kind not in _LOGGED:
            kept = report
            if report.entity_id in erased:
                kept = replace(report, reason=None, raw=None, url=None, complaint_type=None)
            by_recipient[report.campaign_id, report.entity_id].append(kept)
    if by_recipient:
        now = clock_of(session).now()
        changes = [
            {
                "campaign_id": pair[0],
                "entity_id": pair[1],
                "updated_at": now,
                **_after(people[pair], its),
            }
            for pair, its in sorted(by_recipient.items())
        ]
        session.execute(update(Recipient), changes)
    note(session, org_id, [_engaged(report) for report in new])
    return new


def _changes(report: Feedback, pair: Pair, gone: set[Pair]) -> bool:
    """Whether a report says something new of a subscription; `gone` are those without, and kept so."""
    if report.channel != Medium.EMAIL:
        return True
    if report.kind == "unsubscribed":
        if pair in gone:
            return False
        gone.add(pair)
    elif report.kind == "resubscribed":
        if pair not in gone:
            return False
        gone.discard(pair)
    return True


def held(session: Session, org_id: UUID, wanted: set[Pair]) -> dict[Pair, Recipient]:
    """The recipients, held. Their campaigns first, as a foreign key would: deleting one takes locks in that order."""
    campaigns = (
        select(Campaign.id)
        .where(Campaign.org_id == org_id, among(session, Campaign.id, {one for one, _ in wanted}))
        .order_by(Campaign.id)
        .with_for_update(read=True, key_share=True)
    )
    known = set(session.scalars(campaigns))
    if not known:
        return {}
    given = pairs(session, [pair for pair in wanted if pair[0] in known])
    found = session.scalars(
        select(Recipient)
        .join(
            given,
            (Recipient.campaign_id == given.c.campaign_id) & (Recipient.entity_id == given.c.entity_id),
        )
        .where(Recipient.org_id == org_id)
        .order_by(Recipient.campaign_id, Recipient.entity_id)
        .with_for_update(of=Recipient)
        .execution_options(populate_existing=True)
    )
    return {(row.campaign_id, row.entity_id): row for row in found}


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
        else:
            _detail(details, report)
    return {**values, "email_feedback": details}


def _detail(details: dict[str, Any], report: Feedback) -> None:
    """Put what is no status into the details."""
    at = _text(report.at)
    if report.kind == "opened":
        _count(details, "open", report.at)
        details["last_opened_at"] = max(details.get("last_opened_at", ""), at)
    elif report.kind == "clicked":
        _count(details, "click", report.at)
        if report.url is not None:
            click = {"url": report.url, "clicked_at": at}
            details["clicked_links"] = [*details.get("clicked_links", ()), click][-CLICKS_KEPT:]
    elif report.kind == "unsubscribed":
        details["unsubscribed_at"] = at
    elif report.kind == "resubscribed":
        details.pop("unsubscribed_at", None)


def _told(report: Feedback) -> dict[str, Any]:
    given = {
        "bounce_subtype": report.bounce_subtype,
        "complaint_type": report.complaint_type,
        "bounce_reason": report.reason or report.complaint_type,
        "send_error": report.raw if report.kind != "delivered" else None,
    }
    return {name: value for name, value in given.items() if value is not None}


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
        "complaint_type": report.complaint_type,
        "reason": report.reason,
        "url": report.url,
        "proxy": report.proxy,
        "bot": report.bot,
        "name": report.name,
    }
    given = {name: value for name, value in data.items() if value is not None}
    return Engaged(
        report.campaign_id,
        report.entity_id,
        report.channel,
        _KINDS[report.kind],
        report.at,
        report.event_id,
        given or None,
        touchpoint_id=report.touchpoint_id,
        bot=report.bot is not None,
        revenue=report.revenue,
        currency=report.currency,
    )
