"""Pictures in messages, for everybody who loads them: no session, no key, and nothing that a browser would run."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from engine.campaigns.pictures import picture_path, served_picture

if TYPE_CHECKING:
    from engine.kernel.runtime import Runtime

__all__ = ["router"]

router = APIRouter(include_in_schema=False)

_HEADERS = {
    # What has an id never changes.
    "cache-control": "public, max-age=31536000, immutable",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
    "cross-origin-resource-policy": "cross-origin",
    "x-robots-tag": "noindex",
}


@router.head("/pictures/{name}")
@router.get("/pictures/{name}")
def show(name: str, request: Request) -> Response:
    """A picture, by id and ending."""
    runtime: Runtime = request.app.state.runtime
    try:
        picture_id = UUID(name.partition(".")[0])
    except ValueError:
        return Response(status_code=404)
    with runtime.database.read() as session:
        found = served_picture(session, picture_id)
        if found is None or picture_path(found).rpartition("/")[2] != name:
            return Response(status_code=404)
        headers = {**_HEADERS, "etag": f'"{found.digest.hex()[:16]}"'}
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        return Response(found.content, headers=headers, media_type=found.content_type)
