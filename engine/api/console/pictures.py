"""Pictures of messages: taken in from a form, listed, removed."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode
from uuid import UUID

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from engine.api.console.paths import ROOT
from engine.api.console.view import ConsoleRoute, FileRoute, View, Viewing
from engine.campaigns.pictures import (
    MAX_BYTES,
    delete_picture,
    keep_picture,
    list_pictures,
    picture_path,
)
from engine.kernel.inputs import Invalid

if TYPE_CHECKING:
    from state.tables import Picture

__all__ = ["ROUTERS"]


class _PictureRoute(FileRoute):
    """A picture; more bytes than it may have are read no further."""

    longest = MAX_BYTES + 1024


router = APIRouter(route_class=ConsoleRoute, include_in_schema=False)
_files = APIRouter(route_class=_PictureRoute, include_in_schema=False)

_PATH = f"{ROOT}/pictures"
_SIZE = 48


@_files.post(_PATH, name="console.keep_picture")
async def keep(view: Viewing, request: Request, name: str = "") -> Response:
    """Keep a picture; the answer says where messages find it."""
    return await run_sync(_kept, view, name, await request.body())


def _kept(view: View, name: str, content: bytes) -> Response:
    try:
        with view.call.transaction() as session:
            return JSONResponse({"url": _url(view, keep_picture(session, view.call.org_id, name, content))})
    except Invalid as error:
        return JSONResponse({"error": error.message}, 400)


@router.get(_PATH)
def show(view: Viewing, next: str = "") -> Response:  # noqa: A002
    """All of them."""
    with view.call.read() as session:
        found = list_pictures(session, view.call.org_id, limit=_SIZE, next=next or None)
        return view.page(
            "pictures.html",
            rows=[(row, picture_path(row), _url(view, row)) for row in found.results],
            total=found.total,
            first=not next,
            older=f"{_PATH}?{urlencode({'next': found.next})}" if found.next else "",
        )


@router.post(f"{_PATH}/{{picture_id}}/delete", name="console.delete_picture")
def delete(view: Viewing, picture_id: UUID) -> Response:
    """Remove one."""
    with view.call.transaction() as session:
        delete_picture(session, view.call.org_id, picture_id)
    return view.go(_PATH, view.gettext("The picture is removed."))


def _url(view: View, picture: Picture) -> str:
    return str(view.call.runtime.settings.public_url).rstrip("/") + picture_path(picture)


ROUTERS = (_files, router)
