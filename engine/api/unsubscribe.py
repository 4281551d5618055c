"""The page behind a message's unsubscribe link, and the one click that needs no page (RFC 8058).

`POST /u/{token}` suppresses the address for the whole organization and is what mail programs send by
themselves. `GET /u/{token}` changes nothing, because scanners follow every link of a mail: it shows a person
how things stand, and buttons: out of everything, out of this campaign, and back.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from engine.api.bodies import read_body
from engine.api.errors import RequestError
from engine.audience.suppression import Subscription, resubscribe, subscription, unsubscribe
from engine.channels.secrets import Secrets
from engine.content.links import Invitation, LinkError, Links
from state.tables import Organization

if TYPE_CHECKING:
    from engine.runtime import Runtime

__all__ = ["router"]

router = APIRouter(tags=["Recipients"])

#: Bytes of a form; a mail program sends 26.
_FORM = 4096
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="robots" content="noindex">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>Unsubscribe</title>
<style>body{{font:1.1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:15vh auto;padding:0 1rem;color:#222}}
button{{font:inherit;padding:.6rem 1.2rem;margin:.3rem 0;border:0;border-radius:.4rem;background:#1a56db;color:#fff;
cursor:pointer}}button.other{{background:none;color:inherit;text-decoration:underline;padding-left:0}}
@media(prefers-color-scheme:dark){{body{{background:#111;color:#eee}}}}</style>{body}</html>"""
_BROKEN = "<h1>This link does not work.</h1><p>It may have been cut off. Please use the link in the message itself.</p>"


@router.get("/u/{token}", operation_id="showUnsubscribe", response_class=HTMLResponse)
def show(token: str, request: Request) -> HTMLResponse:
    """A page with buttons. Changes nothing."""
    invitation = _invitation(token, request)
    if invitation is None:
        return _page(_BROKEN, 404)
    with _runtime(request).database.read() as session:
        return _page(_standing(invitation, subscription(session, invitation)))


@router.post("/u/{token}", operation_id="unsubscribe", response_class=HTMLResponse)
async def click(token: str, request: Request) -> HTMLResponse:
    """Suppress the address the message went to. Repeating it changes nothing.

    The form's `scope` says for what: `all` (also when it is absent, as mail programs have it), `campaign`, or `none`,
    which takes an unsubscribe back.
    """
    return await run_sync(_clicked, token, request, await _scope(request))


def _clicked(token: str, request: Request, scope: str) -> HTMLResponse:
    invitation = _invitation(token, request)
    if invitation is None:
        return _page(_BROKEN, 404)
    with _runtime(request).transaction() as session:
        if session.get(Organization, invitation.org_id) is None:
            return _page(_BROKEN, 404)
        if scope == "none":
            resubscribe(session, invitation)
        else:
            unsubscribe(session, invitation, only_campaign=scope == "campaign")
        return _page(_standing(invitation, subscription(session, invitation)))


async def _scope(request: Request) -> str:
    """What the form asks for; whatever is no form of ours asks for all, so that no mail program is refused."""
    try:
        form = parse_qs((await read_body(request, limit=_FORM)).decode())
    except (RequestError, ValueError):
        return "all"
    return form.get("scope", ["all"])[0]


def _standing(invitation: Invitation, known: Subscription) -> str:
    """What whoever holds the link gets, and what they may change."""
    address = f"<p>{escape(_masked(invitation.address))}</p>"
    campaign = f"“{escape(known.campaign)}”" if known.campaign else "this campaign"
    if not known.to_any:
        return f"<h1>You are unsubscribed.</h1>{address}<p>You will get no more of our messages.</p>" + _form(
            "none", "This was a mistake: subscribe me again", other=True
        )
    everything = _form("all", "Unsubscribe from everything")
    if not known.to_campaign:
        return (
            f"<h1>You are unsubscribed from {campaign}.</h1>{address}<p>You may still get other messages.</p>"
            + everything
            + _form("none", "This was a mistake: subscribe me again", other=True)
        )
    return (
        f"<h1>Unsubscribe?</h1>{address}<p>You will get no more of these messages.</p>"
        + everything
        + _form("campaign", f"Only from {campaign}", other=True)
    )


def _form(scope: str, label: str, *, other: bool = False) -> str:
    style = ' class="other"' if other else ""
    return f'<form method="post"><button name="scope" value="{scope}"{style}>{label}</button></form>'


def _masked(address: str) -> str:
    """Enough to recognise one's own address by: the link may have been passed on."""
    name, at, domain = address.rpartition("@")
    return f"{name[:2]}…{at}{domain}" if at else f"…{address[-3:]}"


def _runtime(request: Request) -> Runtime:
    runtime: Runtime = request.app.state.runtime
    return runtime


def _invitation(token: str, request: Request) -> Invitation | None:
    settings = _runtime(request).settings
    try:
        return Links(str(settings.public_url), Secrets.of(settings).signing_keys).read(token)
    except LinkError:
        return None


def _page(body: str, status: int = 200) -> HTMLResponse:
    return HTMLResponse(_PAGE.format(body=body), status, headers={"referrer-policy": "no-referrer"})
