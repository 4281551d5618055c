"""Scripts, styles and icons: read once, sent compressed, kept by browsers until they change."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from starlette.responses import Response

from engine.api.console.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["asset_url", "router"]

router = APIRouter(include_in_schema=False)

_TYPES = {
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
}
_FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class _Asset:
    content: bytes
    compressed: bytes
    media_type: str
    version: str
    """The first digits of its SHA-256."""


@cache
def _assets() -> Mapping[str, _Asset]:
    found = {}
    package = files("engine.api.console")
    for folder in ("static", "vendor"):
        for file in (package / folder).iterdir():
            media_type = _TYPES.get(file.name.rpartition(".")[2])
            if media_type is not None:
                content = file.read_bytes()
                version = hashlib.sha256(content).hexdigest()[:12]
                found[file.name] = _Asset(content, gzip.compress(content, mtime=0), media_type, version)
    return found


def asset_url(name: str) -> str:
    """Where a file is; the address changes with its content."""
    return f"{ROOT}/assets/{name}?v={_assets()[name].version}"


@router.get(f"{ROOT}/assets/{{name}}")
async def asset(name: str, request: Request) -> Response:
    """A file of the console."""
    found = _assets().get(name)
    if found is None:
        return Response(status_code=404)
    headers = {
        "cache-control": _FOREVER if request.query_params.get("v") == found.version else "no-cache",
        "etag": f'"{found.version}"',
        "vary": "accept-encoding",
        "x-content-type-options": "nosniff",
    }
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["content-encoding"] = "gzip"
        return Response(found.compressed, media_type=found.media_type, headers=headers)
    return Response(found.content, media_type=found.media_type, headers=headers)
