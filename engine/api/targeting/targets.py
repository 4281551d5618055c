"""`/v1/target` (docs/contract/own-routes.md): saved audiences."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response

from engine.api.answers import NO_CONTENT, json_answer
from engine.api.call import Caller
from engine.api.targeting import schemas, views
from engine.api.targeting.errors import TargetingRoute
from engine.api.targeting.parameters import COMMON, MISSING, Limit, Next
from engine.audience.preview import preview_target
from engine.filters import targets
from engine.filters.targets import TargetChange, TargetInput
from state.change import clock_of

__all__ = ["router"]

router = APIRouter(route_class=TargetingRoute, tags=["Target"], responses=COMMON)


@router.post("/v1/target", operation_id="createTarget", status_code=201, response_model=schemas.Target)
def create(given: TargetInput, call: Caller) -> Response:
    """Create a target; filters that cannot be used are refused by name."""
    with call.transaction() as session:
        return call.answer(session, views.target(targets.create_target(session, call.org_id, given)), 201)


@router.get("/v1/target", operation_id="listTargets", response_model=schemas.Results)
def listed(
    call: Caller,
    limit: Limit = 25,
    next: Next = None,  # noqa: A002
    q: Annotated[str | None, Query(description="Text in the name")] = None,
) -> Response:
    """List targets, newest first."""
    with call.read() as session:
        found = targets.list_targets(session, call.org_id, q=q, limit=limit, next=next or None)
        return json_answer(views.page(found, views.target))


@router.post(
    "/v1/target/{target_id}:count",
    operation_id="countTarget",
    response_model=schemas.Count,
    responses=MISSING,
)
def count(target_id: UUID, call: Caller) -> Response:
    """Count the entities that are in a target now."""
    with call.read() as session:
        target = targets.get_target(session, call.org_id, target_id)
        found = targets.count(session, call.org_id, target, clock_of(session).now())
    return json_answer(schemas.Count(count=found).sent())


@router.post(
    "/v1/target/{target_id}:preview",
    operation_id="previewTarget",
    response_model=schemas.TargetPreview,
    responses=MISSING,
)
def preview(target_id: UUID, call: Caller) -> Response:
    """Count the entities that are in a target now, and the values that its conditions cannot read."""
    with call.read() as session:
        target = targets.get_target(session, call.org_id, target_id)
        found = preview_target(session, call.org_id, target, clock_of(session).now())
    return json_answer(schemas.TargetPreview.model_validate(asdict(found)).sent())


@router.get(
    "/v1/target/{target_id}", operation_id="getTarget", response_model=schemas.Target, responses=MISSING
)
def get(target_id: UUID, call: Caller) -> Response:
    """Get a target."""
    with call.read() as session:
        return json_answer(views.target(targets.get_target(session, call.org_id, target_id)))


@router.patch(
    "/v1/target/{target_id}",
    operation_id="updateTarget",
    response_model=schemas.Target,
    responses=MISSING,
)
def update(target_id: UUID, given: TargetChange, call: Caller) -> Response:
    """Change a target; `entity_filters` is replaced whole."""
    with call.transaction() as session:
        given.check_unwritten(lambda: views.target(targets.get_target(session, call.org_id, target_id)))
        target = targets.update_target(session, call.org_id, target_id, given)
        return call.answer(session, views.target(target))


@router.delete(
    "/v1/target/{target_id}", operation_id="deleteTarget", status_code=NO_CONTENT, responses=MISSING
)
def delete(target_id: UUID, call: Caller) -> Response:
    """Delete a target. A campaign that names it finds nobody in it."""
    with call.transaction() as session:
        targets.delete_target(session, call.org_id, target_id)
        return call.answer(session, None, NO_CONTENT)
