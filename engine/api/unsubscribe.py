"""The page behind a message's unsubscribe link, and the one click that needs no page (RFC 8058).

`POST /u/{token}` suppresses the address for the whole organization and is what mail programs send by
themselves. `GET /u/{token}` changes nothing, because scanners follow every link of a mail: it shows a person
who writes, what they get and what not, and buttons: out of everything, of one campaign or topic, and back. It is in the
reader's language, looks as the console does, and works without JavaScript.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs
from uuid import UUID

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from engine.api.bodies import read_body
from engine.api.console.rendering import Look, render
from engine.api.console.translations import LANGUAGES, understands
from engine.api.errors import RequestError
from engine.content.links import Invitation, LinkError, Links
from engine.engagement.preferences import Preferences, about_campaign, preferences
from engine.engagement.suppression import resubscribe, unsubscribe
from engine.engagement.topics import opt_in, opt_out
from engine.kernel.secrets import Secrets
from state.errors import NotFound

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from engine.kernel.runtime import Runtime

__all__ = ["router"]

router = APIRouter(tags=["Recipients"])

#: Bytes of a form; a mail program sends 26.
_FORM = 4096
#: The console's style, its own form, and nothing else.
_POLICY = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
#: What a form may ask for of a campaign that it names, and of a topic.
_OF_CAMPAIGN = ("campaign", "back")
_OF_TOPIC = {"no-topic": opt_out, "topic": opt_in}


@router.get("/u/{token}", operation_id="showUnsubscribe", response_class=HTMLResponse)
def show(token: str, request: Request) -> HTMLResponse:
    """A page with buttons. Changes nothing."""
    invitation = _invitation(token, request)
    if invitation is None:
        return _broken(request)
    try:
        with _runtime(request).database.read() as session:
            return _page(request, invitation, preferences(session, invitation))
    except NotFound:
        return _broken(request)


@router.post("/u/{token}", operation_id="unsubscribe", response_class=HTMLResponse)
async def click(token: str, request: Request) -> HTMLResponse:
    """Suppress the address the message went to. Repeating it changes nothing.

    The form's `scope` says for what: `all` (also when it is absent, as mail programs have it), `campaign`, or `none`,
    which takes an unsubscribe back. `campaign:ID` and `back:ID` are about another campaign that wrote to them,
    `no-topic:ID` and `topic:ID` about a topic.
    """
    return await run_sync(_clicked, token, request, await _scope(request))


def _clicked(token: str, request: Request, scope: str) -> HTMLResponse:
    invitation = _invitation(token, request)
    if invitation is None:
        return _broken(request)
    try:
        with _runtime(request).transaction() as session:
            preferences(session, invitation)  # of an organization that is still there
            _obey(session, invitation, scope)
            return _page(request, invitation, preferences(session, invitation))
    except NotFound:
        return _broken(request)


def _obey(session: Session, invitation: Invitation, scope: str) -> None:
    """Do what a button says; what is no button's is the one click.

    Raises:
        NotFound: it names a campaign that never wrote to them, or no topic.
    """
    what, _, named = scope.partition(":")
    if named and what in _OF_TOPIC:
        _OF_TOPIC[what](session, invitation, _id("topic", named))
        return
    whom = invitation
    if named and what in _OF_CAMPAIGN:
        whom = about_campaign(session, invitation, _id("campaign", named))
    if what == "none" or (what == "back" and named):
        resubscribe(session, whom)
    else:
        unsubscribe(session, whom, only_campaign=what == "campaign")


def _id(kind: str, text: str) -> UUID:
    """Raises NotFound: it is no id."""
    try:
        return UUID(text)
    except ValueError:
        raise NotFound(kind, text) from None


async def _scope(request: Request) -> str:
    """What the form asks for; whatever is no form of ours asks for all, so that no mail program is refused."""
    try:
        form = parse_qs((await read_body(request, limit=_FORM)).decode())
    except (RequestError, ValueError):
        return "all"
    return form.get("scope", ["all"])[0]


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


def _page(request: Request, invitation: Invitation, known: Preferences) -> HTMLResponse:
    """What the holder of the link gets, and what they may change."""
    look = Look.of(request)
    own = (known.language or "").partition("-")[0]
    if own in LANGUAGES and not understands(request.headers.get("accept-language", "")):
        look = replace(look, language=own)
    others = [one for one in known.campaigns if one.campaign_id != invitation.campaign_id]
    page = render(
        look,
        "preferences.html",
        sender=known.sender,
        address=_masked(invitation.address),
        standing=known.standing,
        campaigns=others,
        topics=known.topics,
        broken=False,
    )
    return _secured(page)


def _broken(request: Request) -> HTMLResponse:
    """The link was cut off, or what it was of is gone."""
    page = render(
        Look.of(request),
        "preferences.html",
        status=404,
        sender="",
        address="",
        standing=None,
        campaigns=[],
        topics=[],
        broken=True,
    )
    return _secured(page)


def _secured(page: HTMLResponse) -> HTMLResponse:
    """Nobody may keep it, or frame it; it loads its style and nothing else."""
    page.headers["content-security-policy"] = _POLICY
    page.headers["cache-control"] = "no-store"
    page.headers["referrer-policy"] = "no-referrer"
    return page
