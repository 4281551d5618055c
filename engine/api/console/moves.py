"""What can be done with a campaign: pause, resume, stop, retry, clone. Each is asked first, and says what it will do to
how many.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from engine.api.console.paths import ROOT
from engine.api.console.view import ConsoleRoute, View, Viewing
from engine.campaigns import lifecycle
from engine.campaigns.campaigns import get_campaign
from engine.campaigns.cloning import clone_campaign
from engine.campaigns.moves import Move, possible_moves
from engine.delivery.retrigger import retrigger_failed
from engine.insight.running import running
from engine.kernel.inputs import Invalid
from state.errors import NotFound

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = ["router"]

router = APIRouter(route_class=ConsoleRoute, include_in_schema=False)

#: Moves that are asked here; a campaign is sent from its plan.
_ASKED = frozenset((Move.PAUSE, Move.RESUME, Move.STOP, Move.RETRY, Move.CLONE))


@router.get(f"{ROOT}/campaigns/{{campaign_id}}/do/{{move}}")
def ask(view: Viewing, campaign_id: UUID, move: str, code: str = "") -> Response:
    """What the move will do."""
    return _asked(view, campaign_id, _known(move), code)


@router.post(f"{ROOT}/campaigns/{{campaign_id}}/do/{{move}}", name="console.move")
def act(view: Viewing, campaign_id: UUID, move: str) -> Response:
    """Do it."""
    wanted = _known(move)
    page = f"{ROOT}/campaigns/{campaign_id}"
    try:
        with view.call.transaction() as session:
            if wanted == Move.CLONE:
                by, name = view.call.principal.name, view.field("name") or None
                copy = clone_campaign(session, view.call.org_id, campaign_id, name=name, by=by)
                return view.go(f"{ROOT}/campaigns/{copy.id}", view.gettext("This is the copy, a draft."))
            said = _done(view, session, campaign_id, wanted)
    except Invalid as error:
        return _asked(view, campaign_id, wanted, view.field("code"), error)
    return view.go(page, said)


def _asked(view: View, campaign_id: UUID, move: Move, code: str, error: Invalid | None = None) -> Response:
    with view.call.read() as session:
        campaign = get_campaign(session, view.call.org_id, campaign_id)
        run = running(session, view.call.org_id, campaign_id)
        return view.page(
            "move.html",
            status=200 if error is None else 400,
            campaign=campaign,
            run=run,
            counts=run.progress.shown,
            move=move.value,
            possible=move in possible_moves(campaign, run.progress),
            code=code,
            failed=sum(one.count for one in run.errors if code in ("", one.code)),
            error=error,
        )


def _done(view: View, session: Session, campaign_id: UUID, move: Move) -> str:
    """Carry it out; returns what is said of it."""
    org_id, settings = view.call.org_id, view.call.runtime.settings
    if move == Move.PAUSE:
        lifecycle.pause(session, org_id, campaign_id, by=view.call.principal.name)
        return view.gettext("Paused. Nothing more is sent, nobody is given up.")
    if move == Move.RESUME:
        lifecycle.resume(session, org_id, campaign_id, window=settings.window)
        return view.gettext("It goes on.")
    if move == Move.STOP:
        lifecycle.cancel(session, org_id, campaign_id)
        return view.gettext("Stopped for good.")
    count = retrigger_failed(
        session,
        org_id,
        campaign_id,
        window=settings.window,
        slice_size=settings.slice_size,
        error_code=view.field("code") or None,
    )
    said = view.ngettext("%d recipient is sent to again.", "%d recipients are sent to again.", count)
    return said % count


def _known(move: str) -> Move:
    if move not in _ASKED:
        raise NotFound("move", move)
    return Move(move)
