"""The picture and the links that tell of opens and clicks (engine.tracking). Neither asks the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from engine.content.links import LinkError

if TYPE_CHECKING:
    from engine.inbound.hits import Hits

__all__ = ["router"]

router = APIRouter(tags=["Recipients"])

#: A transparent picture of one point.
_GIF = bytes.fromhex(
    "47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002014c003b"  # GIF89a, 1 x 1
)
#: Nobody may answer in our place, and where a link leads need not know who followed it.
_HEADERS = {
    "cache-control": "no-store, max-age=0",
    "referrer-policy": "no-referrer",
    "x-robots-tag": "noindex",
}
_BROKEN = (
    '<!doctype html><meta charset="utf-8"><title>This link does not work</title><h1>This link does not work.</h1>'
    "<p>It may have been cut off. Please use the link in the message itself.</p>"
)


@router.head("/t/o/{who}/{what}.gif", include_in_schema=False)
@router.get("/t/o/{who}/{what}.gif", operation_id="opened", response_class=Response)
async def opened(who: str, what: str, request: Request) -> Response:
    """A picture of one transparent point; loading it counts as opening the message it is in."""
    hits: Hits = request.app.state.hits
    try:
        message = hits.tokens.read_what(what, who=who)
        recipient = hits.tokens.read_who(who)
    except LinkError:
        return Response(_GIF, 404, _HEADERS, "image/gif")
    hits.add(recipient, message, method=request.method, user_agent=request.headers.get("user-agent", ""))
    return Response(_GIF, 200, _HEADERS, "image/gif")


@router.head("/t/c/{who}/{what}", include_in_schema=False)
@router.get("/t/c/{who}/{what}", operation_id="clicked", response_class=Response)
async def clicked(who: str, what: str, request: Request) -> Response:
    """Go on to where the link leads, which is what was signed and nothing else."""
    hits: Hits = request.app.state.hits
    try:
        link = hits.tokens.read_what(what, who=who)
        recipient = hits.tokens.read_who(who)
    except LinkError:
        return HTMLResponse(_BROKEN, 404, _HEADERS)
    if not link.url:
        return HTMLResponse(_BROKEN, 404, _HEADERS)
    hits.add(recipient, link, method=request.method, user_agent=request.headers.get("user-agent", ""))
    return RedirectResponse(link.url, 302, _HEADERS)
