"""The page behind a message's unsubscribe link, and the one click that needs no page (RFC 8058).

`POST /u/{token}` suppresses the address for the whole organization and is what mail programs send by
themselves. `GET /u/{token}` changes nothing, because scanners follow every link of a mail: it shows a person
a button.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from engine.audience.suppression import unsubscribe
from engine.channels.secrets import Secrets
from engine.content.links import LinkError, Links

if TYPE_CHECKING:
    from engine.runtime import Runtime

__all__ = ["router"]

router = APIRouter(tags=["Recipients"])

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="robots" content="noindex">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>Unsubscribe</title>
<style>body{{font:1.1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:20vh auto;padding:0 1rem;color:#222}}
button{{font:inherit;padding:.6rem 1.2rem;border:0;border-radius:.4rem;background:#1a56db;color:#fff;cursor:pointer}}
@media(prefers-color-scheme:dark){{body{{background:#111;color:#eee}}}}</style>{body}</html>"""
_ASK = """<h1>Unsubscribe?</h1><p>You will get no more of these messages.</p>
<form method="post"><button>Unsubscribe</button></form>"""
_DONE = "<h1>You are unsubscribed.</h1><p>You will get no more of these messages.</p>"
_BROKEN = "<h1>This link does not work.</h1><p>It may have been cut off. Please use the link in the message itself.</p>"


def _links(request: Request) -> Links:
    runtime: Runtime = request.app.state.runtime
    return Links(str(runtime.settings.public_url), Secrets.of(runtime.settings).signing_keys)


def _page(body: str, status: int = 200) -> HTMLResponse:
    return HTMLResponse(_PAGE.format(body=body), status)


@router.get("/u/{token}", operation_id="showUnsubscribe", response_class=HTMLResponse)
def show(token: str, request: Request) -> HTMLResponse:
    """A page with a button. Changes nothing."""
    try:
        _links(request).read(token)
    except LinkError:
        return _page(_BROKEN, 404)
    return _page(_ASK)


@router.post("/u/{token}", operation_id="unsubscribe", response_class=HTMLResponse)
def click(token: str, request: Request) -> HTMLResponse:
    """Suppress the address the message went to. Repeating it changes nothing."""
    runtime: Runtime = request.app.state.runtime
    try:
        invitation = _links(request).read(token)
    except LinkError:
        return _page(_BROKEN, 404)
    with runtime.transaction() as session:
        unsubscribe(session, invitation)
    return _page(_DONE)
