"""A campaign's recipients: searched and filtered a page at a time, one person's whole story, and all as a file."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends
from starlette.responses import Response, StreamingResponse

from engine.api.console.frames import mail_page, picture_hosts
from engine.api.console.paths import ROOT, read_id
from engine.api.console.view import ConsoleRoute, View, Viewing
from engine.audience.entities import get_entity
from engine.campaigns.campaigns import get_campaign
from engine.campaigns.flows import touchpoints_of
from engine.campaigns.previews import link_to_nowhere
from engine.campaigns.recipient_message import RecipientMessage, recipient_message
from engine.delivery.retrigger import may_retrigger, retrigger
from engine.insight.email import email_status, sends_email
from engine.insight.recipient_contacts import contacts_of
from engine.insight.recipient_report import recipient_report
from engine.insight.recipients import list_recipients, search_recipients
from engine.insight.running import failure_codes
from engine.insight.timeline import timeline
from engine.kernel.inputs import Invalid
from engine.kernel.instants import read_instant
from state.errors import NotFound
from state.transitions import AutomationStatus, PortalStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy.orm import Session

    from engine.kernel.listing import Found, Page
    from state.tables import Entity, Recipient

__all__ = ["router"]

router = APIRouter(route_class=ConsoleRoute, include_in_schema=False)

_SIZE = 50
#: Rows of one transaction of an export.
_EXPORTED = 1000
_LONGEST_SEARCH = 200
_COLUMNS = ("id", "external_id", "name", "address", "status", "email", "code", "text", "attempt", "at")


def _asked(q: str = "", status: str = "", code: str = "", step: str = "", portal: str = "") -> dict[str, str]:
    """What the list is filtered by, as its address says it."""
    return {
        "q": q.strip()[:_LONGEST_SEARCH],
        "status": status,
        "code": code[:64],
        "step": step,
        "portal": portal,
    }


Wanted = Annotated[dict[str, str], Depends(_asked)]


@router.get(f"{ROOT}/campaigns/{{campaign_id}}/recipients")
def show(view: Viewing, campaign_id: UUID, asked: Wanted, next: str = "") -> Response:  # noqa: A002
    """The page."""
    org_id = view.call.org_id
    with view.call.read() as session:
        campaign = get_campaign(session, org_id, campaign_id)
        found, counts = _page(session, view, campaign_id, asked, cursor=next)
        mails = sends_email(session, org_id, campaign_id)
        return view.page(
            "recipients.html",
            campaign=campaign,
            rows=found.results,
            contacts=contacts_of(session, org_id, [row.entity_id for row in found.results]),
            mailed={row.entity_id: email_status(row, mails=mails) for row in found.results},
            **counts,
            full=len(found.results) == _SIZE,
            asked=asked,
            statuses=list(AutomationStatus),
            portal_statuses=list(PortalStatus),
            codes=failure_codes(session, org_id, campaign_id),
            steps=[]
            if campaign.flow_id is None
            else touchpoints_of(session, org_id, [campaign.flow_id])[campaign.flow_id],
            older=_address(campaign_id, asked, next=found.next) if found.next else "",
            first=not next,
            export=_address(campaign_id, asked).replace("/recipients", "/recipients.csv", 1),
            address=lambda **changes: _address(campaign_id, {**asked, **changes}),
        )


@router.get(f"{ROOT}/campaigns/{{campaign_id}}/recipients.csv")
def export(view: Viewing, campaign_id: UUID, asked: Wanted) -> Response:
    """All that the page lists, as CSV."""
    with view.call.read() as session:
        get_campaign(session, view.call.org_id, campaign_id)
    view.call.note_request("recipient", "export", campaign_id=str(campaign_id))
    headers = {"content-disposition": f'attachment; filename="recipients-{campaign_id}.csv"'}
    lines = _lines(view, campaign_id, asked)
    return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=headers)


@router.get(f"{ROOT}/campaigns/{{campaign_id}}/recipients/{{entity_id}}")
def person(view: Viewing, campaign_id: UUID, entity_id: UUID) -> Response:
    """One person's whole story."""
    org_id = view.call.org_id
    with view.call.read() as session:
        campaign = get_campaign(session, org_id, campaign_id)
        story = timeline(session, org_id, campaign_id, entity_id)
        entity = _entity(session, org_id, story.recipient)
        return view.page(
            "recipient.html",
            campaign=campaign,
            recipient=story.recipient,
            entries=story.results,
            entity=entity,
            contact=contacts_of(session, org_id, [entity_id]).get(entity_id),
            report=None if entity is None else recipient_report(session, campaign, entity),
            may_retry=may_retrigger(campaign, story.recipient),
        )


@router.get(f"{ROOT}/campaigns/{{campaign_id}}/recipients/{{entity_id}}/message")
def message(
    view: Viewing, campaign_id: UUID, entity_id: UUID, step: UUID, variant: str = "", at: str = ""
) -> Response:
    """What a step says to them."""
    with view.call.read() as session:
        campaign = get_campaign(session, view.call.org_id, campaign_id)
        found = _message(view, session, entity_id, step, variant, at)
        frame = urlencode({"step": step, "variant": variant})
        address = f"{ROOT}/campaigns/{campaign_id}/recipients/{entity_id}/message.html?{frame}"
        return view.page(
            "recipient_message.html", campaign=campaign, entity_id=entity_id, found=found, frame=address
        )


@router.get(f"{ROOT}/campaigns/{{campaign_id}}/recipients/{{entity_id}}/message.html")
def framed(view: Viewing, campaign_id: UUID, entity_id: UUID, step: UUID, variant: str = "") -> Response:
    """Its HTML, for a frame of the page."""
    with view.call.read() as session:
        get_campaign(session, view.call.org_id, campaign_id)
        content = _message(view, session, entity_id, step, variant, "").shown.content
    return mail_page(content.html or "", pictures=picture_hosts(view.request))


def _message(
    view: View, session: Session, entity_id: UUID, step: UUID, variant: str, at: str
) -> RecipientMessage:
    try:
        sent_at = read_instant(at) if at else None
    except ValueError:
        raise Invalid("at", "is no instant") from None
    return recipient_message(
        session,
        view.call.org_id,
        entity_id,
        step,
        variant=variant or None,
        sent_at=sent_at,
        unsubscribe_url=link_to_nowhere(view.call.runtime.settings.public_url),
    )


@router.post(
    f"{ROOT}/campaigns/{{campaign_id}}/recipients/{{entity_id}}/retry", name="console.retry_recipient"
)
def retry(view: Viewing, campaign_id: UUID, entity_id: UUID) -> Response:
    """Deliver again to one person."""
    settings = view.call.runtime.settings
    with view.call.transaction() as session:
        (answer,) = retrigger(
            session,
            view.call.org_id,
            campaign_id,
            [entity_id],
            window=settings.window,
            slice_size=settings.slice_size,
        )
    said = view.gettext("It is sent again.") if answer.error is None else answer.error
    return view.go(f"{ROOT}/campaigns/{campaign_id}/recipients/{entity_id}", said)


def _entity(session: Session, org_id: UUID, recipient: Recipient) -> Entity | None:
    """Who it is; None: deleted since."""
    try:
        return get_entity(session, org_id, recipient.entity_schema, recipient.entity_id)
    except NotFound:
        return None


def _page(
    session: Session, view: View, campaign_id: UUID, asked: Mapping[str, str], *, cursor: str
) -> tuple[Page[Recipient] | Found[Recipient], dict[str, Any]]:
    """A page of the list, and what it says of its length: a search counts what it looked at, a list what there is."""
    if asked["q"]:
        found = search_recipients(
            session,
            view.call.org_id,
            campaign_id,
            asked["q"],
            limit=_SIZE,
            next=cursor or None,
            **_filters(asked),
        )
        return found, {"searched": True, "looked_at": found.looked_at}
    page = _found(session, view, campaign_id, asked, limit=_SIZE, cursor=cursor)
    return page, {"searched": False, "total": page.total}


def _filters(asked: Mapping[str, str]) -> dict[str, Any]:
    return {
        "automation_status": [asked["status"]] if asked["status"] else [],
        "portal_status": asked["portal"] or None,
        "error_code": asked["code"] or None,
        "touchpoint_id": read_id("step", asked["step"]) if asked["step"] else None,
    }


def _found(
    session: Session, view: View, campaign_id: UUID, asked: Mapping[str, str], *, limit: int, cursor: str
) -> Page[Recipient]:
    return list_recipients(
        session,
        view.call.org_id,
        campaign_id,
        limit=limit,
        next=cursor or None,
        known_by=asked["q"] or None,
        **_filters(asked),
    )


def _lines(view: View, campaign_id: UUID, asked: Mapping[str, str]) -> Iterator[str]:
    """The file, in pieces; each is a page of the list, read in a transaction of its own."""
    yield _csv([_COLUMNS])
    cursor: str | None = ""
    while cursor is not None:
        with view.call.read() as session:
            found = _found(session, view, campaign_id, asked, limit=_EXPORTED, cursor=cursor)
            mails = sends_email(session, view.call.org_id, campaign_id)
            contacts = contacts_of(session, view.call.org_id, [row.entity_id for row in found.results])
            rows = []
            for row in found.results:
                contact = contacts.get(row.entity_id)
                rows.append(
                    (
                        row.entity_id,
                        contact.external_id if contact else "",
                        row.title,
                        contact.address if contact else "",
                        row.status,
                        email_status(row, mails=mails),
                        row.error_code,
                        row.error_text,
                        row.attempt,
                        row.updated_at.isoformat(),
                    )
                )
        yield _csv(rows)
        cursor = found.next


def _csv(rows: object) -> str:
    """Rows as CSV; a cell that a spreadsheet would take for a formula begins with an apostrophe."""
    out = io.StringIO()
    csv.writer(out).writerows([_harmless(cell) for cell in row] for row in rows)  # type: ignore[attr-defined]
    return out.getvalue()


def _harmless(cell: object) -> object:
    text = "" if cell is None else str(cell)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _address(campaign_id: UUID, asked: Mapping[str, str], **changes: str | None) -> str:
    query = urlencode({name: value for name, value in {**asked, **changes}.items() if value})
    return f"{ROOT}/campaigns/{campaign_id}/recipients" + (f"?{query}" if query else "")
