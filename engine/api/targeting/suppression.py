"""`/v1/suppression` (docs/contract/own-routes.md): addresses that must not be used."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from engine.api.answers import NO_CONTENT, json_answer
from engine.api.call import Caller
from engine.api.imports import imported
from engine.api.targeting import schemas, views
from engine.api.targeting.audience_answers import LineError, Suppressed, SuppressionImport
from engine.api.targeting.errors import StreamedRoute, TargetingRoute
from engine.api.targeting.parameters import COMMON, MISSING, Limit, Next
from engine.audience import suppression_list
from engine.audience.suppression_csv import suppressions_as_csv
from engine.audience.suppression_import import import_suppressions
from engine.audience.suppression_list import SuppressionInput
from engine.kernel.media import AddressMedium

__all__ = ["ROUTERS"]

router = APIRouter(route_class=TargetingRoute, tags=["Suppression"], responses=COMMON)
streamed = APIRouter(route_class=StreamedRoute, tags=["Suppression"], responses=COMMON)

ROUTERS = (router, streamed)

_CSV = {"requestBody": {"required": True, "content": {"text/csv": {"schema": {"type": "string"}}}}}


@router.post(
    "/v1/suppression",
    operation_id="suppress",
    status_code=201,
    response_model=Suppressed,
    responses={200: {"model": Suppressed, "description": "It was on the list already"}},
)
def create(given: SuppressionInput, call: Caller) -> Response:
    """Put an address on the list."""
    with call.transaction() as session:
        row, created = suppression_list.suppress(session, call.org_id, given)
        return call.answer(session, views.suppressed(row), 201 if created else 200)


@router.get("/v1/suppression", operation_id="listSuppressions", response_model=schemas.Results)
def listed(
    call: Caller,
    limit: Limit = 25,
    next: Next = None,  # noqa: A002
    channel_kind: str | None = None,
    medium: AddressMedium | None = None,
    address: str | None = None,
) -> Response:
    """List suppressed addresses, newest first."""
    with call.read() as session:
        found = suppression_list.list_suppressions(
            session,
            call.org_id,
            limit=limit,
            next=next or None,
            channel_kind=channel_kind,
            medium=medium,
            address=address,
        )
        return json_answer(views.page(found, views.suppressed))


@router.delete(
    "/v1/suppression/{suppression_id}",
    operation_id="unsuppress",
    status_code=NO_CONTENT,
    responses=MISSING,
)
def delete(suppression_id: UUID, call: Caller) -> Response:
    """Take an address off the list."""
    with call.transaction() as session:
        suppression_list.remove_suppression(session, call.org_id, suppression_id)
        return call.answer(session, None, NO_CONTENT)


@streamed.post(
    "/v1/suppression:import",
    operation_id="importSuppressions",
    response_model=SuppressionImport,
    openapi_extra=_CSV,
)
async def import_(call: Caller, request: Request) -> Response:
    """Add the addresses of a CSV file (`channel_kind,address,reason,campaign_id,medium`) of any size."""
    database = call.runtime.database
    result = await imported(request, lambda chunks: import_suppressions(database, call.org_id, chunks))
    await run_sync(partial(call.note_request, "suppression", "import", created=result.created))
    errors = [LineError(line=line, message=message) for line, message in result.errors]
    answer = SuppressionImport(
        created=result.created, skipped=result.skipped, rejected=result.rejected, errors=errors
    )
    return json_answer(answer.sent())


@router.get(
    "/v1/suppression:export",
    operation_id="exportSuppressions",
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
)
def export(call: Caller) -> Response:
    """Get the whole list as CSV, in the form that the import takes."""
    call.note_request("suppression", "export")
    return StreamingResponse(
        suppressions_as_csv(call.runtime.database, call.org_id),
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": 'attachment; filename="suppression.csv"'},
    )
