"""The suppression list: addresses that are not written to, and why; added and taken off, as a file and from one."""

from __future__ import annotations

from functools import partial
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from anyio.to_thread import run_sync
from fastapi import APIRouter, Query, Request
from starlette.responses import Response, StreamingResponse

from engine.api.console.paths import ROOT
from engine.api.console.view import ConsoleRoute, StreamedFormRoute, View, Viewing
from engine.api.imports import imported
from engine.audience.lines import ImportRefused
from engine.audience.suppression_csv import suppressions_as_csv
from engine.audience.suppression_import import import_suppressions
from engine.audience.suppression_list import (
    SuppressionInput,
    list_suppressions,
    remove_suppression,
    suppress,
)
from engine.kernel.inputs import Invalid, read
from engine.kernel.media import AddressMedium

__all__ = ["ROUTERS"]

router = APIRouter(route_class=ConsoleRoute, include_in_schema=False)
_streamed = APIRouter(route_class=StreamedFormRoute, include_in_schema=False)

_SIZE = 50
_LONGEST_SEARCH = 200
_SUPPRESSIONS = f"{ROOT}/audience/suppressions"


@router.get(f"{_SUPPRESSIONS}.csv")
def export(view: Viewing) -> Response:
    """The whole list, in the form that the import takes."""
    view.call.note_request("suppression", "export")
    headers = {"content-disposition": 'attachment; filename="suppressions.csv"'}
    lines = suppressions_as_csv(view.call.runtime.database, view.call.org_id)
    return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=headers)


@_streamed.post(f"{_SUPPRESSIONS}/import", name="console.import_suppressions")
async def import_file(view: Viewing, request: Request) -> Response:
    """Take in a file of addresses; the answer is a part of the page."""
    database, org_id = view.call.runtime.database, view.call.org_id
    try:
        result = await imported(request, lambda chunks: import_suppressions(database, org_id, chunks))
    except ImportRefused as error:
        return await run_sync(partial(view.page, "_import_refused.html", status=400, error=error))
    await run_sync(partial(view.call.note_request, "suppression", "import", created=result.created))
    return await run_sync(partial(view.page, "_suppressions_imported.html", result=result))


@router.get(_SUPPRESSIONS)
def suppressions(
    view: Viewing,
    address: str = "",
    medium: str = "",
    next: Annotated[str, Query()] = "",  # noqa: A002
) -> Response:
    """Addresses that are not written to."""
    return _suppressions(view, address.strip()[:_LONGEST_SEARCH], medium, next)


@router.post(_SUPPRESSIONS, name="console.suppress")
def bar(view: Viewing) -> Response:
    """Add an address."""
    try:
        named = {name: view.field(name) for name in ("address", "medium")}
        given = read(SuppressionInput, {**named, "reason": "manual"})
        with view.call.transaction() as session:
            suppress(session, view.call.org_id, given)
    except Invalid as error:
        return _suppressions(view, "", "", "", error)
    return view.go(_SUPPRESSIONS, view.gettext("It is written to no more."))


@router.post(f"{_SUPPRESSIONS}/{{suppression_id}}/delete", name="console.remove_suppression")
def unbar(view: Viewing, suppression_id: UUID) -> Response:
    """Take an address off the list."""
    with view.call.transaction() as session:
        remove_suppression(session, view.call.org_id, suppression_id)
    return view.go(_SUPPRESSIONS, view.gettext("It may be written to again."))


def _suppressions(
    view: View,
    address: str,
    medium: str,
    cursor: str,
    error: Invalid | None = None,
) -> Response:
    media = [one.value for one in AddressMedium]
    with view.call.read() as session:
        found = list_suppressions(
            session,
            view.call.org_id,
            limit=_SIZE,
            next=cursor or None,
            medium=AddressMedium(medium) if medium in media else None,
            address=address or None,
        )
        asked = {"address": address, "medium": medium}
        return view.page(
            "suppressions.html",
            status=200 if error is None else 400,
            rows=found.results,
            total=found.total,
            address=address,
            medium=medium,
            media=media,
            first=not cursor,
            older=f"{_SUPPRESSIONS}?{urlencode({**asked, 'next': found.next})}" if found.next else "",
            error=error,
        )


ROUTERS = (_streamed, router)
