"""`/v1/entity/{schema}` (docs/contract/own-routes.md): contacts, contracts …, one by one and by file."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Query, Request
from starlette.responses import Response

from engine.api.answers import NO_CONTENT, json_answer
from engine.api.call import Caller
from engine.api.imports import imported
from engine.api.targeting import schemas, views
from engine.api.targeting.audience_answers import EntityImport, LineError
from engine.api.targeting.errors import StreamedRoute, TargetingRoute
from engine.api.targeting.parameters import COMMON, MISSING, Limit, Next
from engine.audience import entities
from engine.audience.formats import CSV, NDJSON, XLSX
from engine.audience.importing import ImportInterrupted, import_entities
from engine.audience.store import Mode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.audience.importing import ImportResult

__all__ = ["ROUTERS"]

router = APIRouter(route_class=TargetingRoute, tags=["Entity"], responses=COMMON)
streamed = APIRouter(route_class=StreamedRoute, tags=["Entity"], responses=COMMON)

#: The import first: `contact:import` would do as a schema's name.
ROUTERS = (streamed, router)

_UNAVAILABLE = 503
_FILE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {kind: {"schema": {"type": "string"}} for kind in (CSV, NDJSON)}
        | {XLSX: {"schema": {"type": "string", "format": "binary"}}},
    }
}
_Attributes = Annotated[Any, Body(description="`{_id?, external_id?, title?, …attributes}`")]


@streamed.post(
    "/v1/entity/{schema}:import",
    operation_id="importEntities",
    response_model=EntityImport,
    responses={503: {"model": schemas.ServerError, "description": "The database went away meanwhile"}},
    openapi_extra=_FILE,
)
async def import_(
    schema: str,
    call: Caller,
    request: Request,
    *,
    external_id: Annotated[str | None, Query(description="The column that identifies an entity")] = None,
    title: Annotated[str | None, Query(description="A template like `{First Name} {Last Name}`")] = None,
    key: Annotated[str | None, Query(description="Instead of external_id: an attribute's column")] = None,
    decimal_comma: Annotated[list[str], Query(description="Columns of numbers like 1.234,50")] = [],  # noqa: B006
    decimal_point: Annotated[list[str], Query(description="Columns of numbers like 1,234.50")] = [],  # noqa: B006
    delimiter: Annotated[str | None, Query(description="Of CSV; absent: it is found out")] = None,
    mode: Annotated[Mode, Query(description="Whether what a line does not name stays, or goes")] = Mode.MERGE,
) -> Response:
    """Upsert the entities of a CSV or NDJSON file of any size, or of a workbook.

    A column that it lacks changes nothing, an empty cell empties. A bad line never stops the good ones.
    """
    kind = request.headers.get("content-type", "")
    transaction = call.runtime.transaction

    def work(chunks: Iterator[bytes]) -> ImportResult:
        return import_entities(
            transaction,
            call.org_id,
            schema,
            chunks,
            content_type=kind,
            external_id=external_id,
            title=title,
            key=key,
            delimiter=delimiter,
            decimal_comma=decimal_comma,
            decimal_point=decimal_point,
            mode=mode,
        )

    try:
        result = await imported(request, work)
    except ImportInterrupted as error:
        return json_answer({"status": _UNAVAILABLE, "message": str(error)}, _UNAVAILABLE)
    await call.in_thread(
        partial(
            call.note_request,
            "entity",
            "import",
            schema=schema,
            created=result.created,
            updated=result.updated,
        )
    )
    answer = EntityImport(
        created=result.created,
        updated=result.updated,
        skipped=result.skipped,
        rejected=result.rejected,
        errors=[LineError(line=one.line, message=one.message) for one in result.errors],
        notes=[LineError(line=one.line, message=one.message) for one in result.notes],
    )
    return json_answer(answer.sent())


@router.post(
    "/v1/entity/{schema}",
    operation_id="upsertEntity",
    status_code=201,
    response_model=schemas.Entity,
    responses={200: {"model": schemas.Entity, "description": "It was there, and was replaced"}},
)
def upsert(schema: str, given: _Attributes, call: Caller) -> Response:
    """Create an entity, or replace the one with this `_id` or `external_id`."""
    with call.transaction() as session:
        entity, created = entities.upsert_entity(session, call.org_id, schema, given)
        return call.answer(session, entities.entity_json(entity), 201 if created else 200)


@router.get("/v1/entity/{schema}", operation_id="listEntities", response_model=schemas.Results)
def listed(
    schema: str,
    call: Caller,
    limit: Limit = 25,
    next: Next = None,  # noqa: A002
    q: Annotated[str | None, Query(description="Text in title or external id")] = None,
) -> Response:
    """List a schema's entities by id."""
    with call.read() as session:
        found = entities.list_entities(session, call.org_id, schema, q=q, limit=limit, next=next or None)
        return json_answer(views.page(found, entities.entity_json))


@router.get(
    "/v1/entity/{schema}/{entity_id}",
    operation_id="getEntity",
    response_model=schemas.Entity,
    responses=MISSING,
)
def get(schema: str, entity_id: UUID, call: Caller) -> Response:
    """Get an entity."""
    with call.read() as session:
        return json_answer(entities.entity_json(entities.get_entity(session, call.org_id, schema, entity_id)))


@router.patch(
    "/v1/entity/{schema}/{entity_id}",
    operation_id="updateEntity",
    response_model=schemas.Entity,
    responses=MISSING,
)
def update(schema: str, entity_id: UUID, given: _Attributes, call: Caller) -> Response:
    """Change the attributes that are named."""
    with call.transaction() as session:
        entity = entities.patch_entity(session, call.org_id, schema, entity_id, given)
        return call.answer(session, entities.entity_json(entity))


@router.delete(
    "/v1/entity/{schema}/{entity_id}",
    operation_id="deleteEntity",
    status_code=NO_CONTENT,
    responses=MISSING,
)
def delete(schema: str, entity_id: UUID, call: Caller) -> Response:
    """Delete an entity. What campaigns recorded of it stays."""
    with call.transaction() as session:
        entities.delete_entity(session, call.org_id, schema, entity_id)
        return call.answer(session, None, NO_CONTENT)
