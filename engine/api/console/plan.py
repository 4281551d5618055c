"""The dry run: what sending would do, before anybody is written to; and then sending, with the number confirmed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter
from starlette.responses import Response

from engine.api.console.frames import mail_page, picture_hosts
from engine.api.console.paths import ROOT
from engine.api.console.view import ConsoleRoute, View, Viewing
from engine.api.secrets import secrets_of
from engine.campaigns.campaigns import get_campaign
from engine.campaigns.execute_campaign import execute
from engine.campaigns.moves import Move, possible_moves
from engine.campaigns.preflight import Preflight, preflight
from engine.channels.port import ChannelContext
from engine.insight.progress import campaign_progress
from engine.kernel.inputs import Invalid
from state.errors import NotFound

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from state.tables import Campaign

__all__ = ["router"]

router = APIRouter(route_class=ConsoleRoute, include_in_schema=False)

#: Recipients who are looked at one by one; of more the rest is scaled up.
_LOOKED_AT = 2_000


@router.get(f"{ROOT}/campaigns/{{campaign_id}}/plan")
def show(view: Viewing, campaign_id: UUID) -> Response:
    """The page."""
    return _planned(view, campaign_id)


@router.get(f"{ROOT}/campaigns/{{campaign_id}}/plan/{{number}}.html")
def sample(view: Viewing, campaign_id: UUID, number: int) -> Response:
    """One rendered sample, as its reader would see it, for a frame of the page."""
    with view.call.read() as session:
        found = _preflight(view, session, get_campaign(session, view.call.org_id, campaign_id))
    if not 0 <= number < len(found.samples) or found.samples[number].html is None:
        raise NotFound("sample", number)
    return mail_page(found.samples[number].html or "", pictures=picture_hosts(view.request))


@router.post(f"{ROOT}/campaigns/{{campaign_id}}/send", name="console.send")
def send(view: Viewing, campaign_id: UUID) -> Response:
    """Execute the campaign, now or at a time, when the number that was shown is the number that was typed."""
    try:
        _check_count(view)
        with view.call.transaction() as session:
            done = execute(
                session,
                view.call.org_id,
                campaign_id,
                window=view.call.runtime.settings.window,
                due_at=_instant(view, view.field("at")),
            )
    except Invalid as error:
        return _planned(view, campaign_id, error)
    said = view.gettext("It is sent.") if done.status == "started" else view.gettext("It is scheduled.")
    return view.go(f"{ROOT}/campaigns/{campaign_id}", said)


def _check_count(view: View) -> None:
    """Raises Invalid: what was typed is not the number that the plan showed."""
    typed = "".join(character for character in view.field("count") if character.isdigit())
    if not typed or typed != view.field("expected"):
        raise Invalid("count", view.gettext("This is not the number of recipients that the plan shows."))


def _planned(view: View, campaign_id: UUID, error: Invalid | None = None) -> Response:
    with view.call.read() as session:
        campaign = get_campaign(session, view.call.org_id, campaign_id)
        progress = campaign_progress(session, view.call.org_id, campaign_id)
        may_send = Move.SEND in possible_moves(campaign, progress)
        plan = _preflight(view, session, campaign)
        return view.page(
            "plan.html",
            status=200 if error is None else 400,
            campaign=campaign,
            plan=plan,
            may_send=may_send and not plan.errors and plan.recipients > 0,
            error=error,
            at=view.field("at"),
            points=[
                [at.timestamp() for at, _ in plan.departures],
                [round(left) for _, left in plan.departures],
            ],
        )


def _preflight(view: View, session: Session, campaign: Campaign) -> Preflight:
    runtime = view.call.runtime
    return preflight(
        session,
        campaign,
        secrets=secrets_of(view.request),
        channel_context=ChannelContext.of(runtime.settings, runtime.database),
        most=_LOOKED_AT,
    )


def _instant(view: View, text: str) -> datetime | None:
    """What `<input type=datetime-local>` holds, in the reader's time zone; None: now."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid("at", view.gettext("This is no time.")) from None
    zone = view.look.zone or view.signed_in.time_zone or "UTC"
    return (at if at.tzinfo else at.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)
