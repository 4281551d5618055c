"""`/v1/flow` (docs/contract/own-routes.md): automation flows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from engine.api.answers import NO_CONTENT, json_answer
from engine.api.call import Caller
from engine.api.targeting import schemas, views
from engine.api.targeting.errors import TargetingRoute
from engine.api.targeting.parameters import COMMON, CONFLICT, MISSING, Limit, Next
from engine.campaigns import flows
from engine.campaigns.flows import FlowChange, FlowInput

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from engine.api.call import Call
    from state.tables import Flow

__all__ = ["router"]

router = APIRouter(route_class=TargetingRoute, tags=["Flow"], responses=COMMON)


def _view(call: Call, session: Session, flow: Flow) -> dict[str, Any]:
    return views.flow(call.principal, flow, flows.touchpoints_of(session, flow.org_id, [flow.id])[flow.id])


@router.post("/v1/flow", operation_id="createFlow", status_code=201, response_model=schemas.Flow)
def create(given: FlowInput, call: Caller) -> Response:
    """Create a flow: messages, waits and actions, in the order that each recipient is run through them."""
    with call.transaction() as session:
        return call.answer(session, _view(call, session, flows.create_flow(session, call.org_id, given)), 201)


@router.get("/v1/flow", operation_id="listFlows", response_model=schemas.Results)
def listed(call: Caller, limit: Limit = 25, next: Next = None) -> Response:  # noqa: A002
    """List flows, newest first."""
    with call.read() as session:
        found = flows.list_flows(session, call.org_id, limit=limit, next=next or None)
        steps = flows.touchpoints_of(session, call.org_id, [flow.id for flow in found.results])
        return json_answer(views.page(found, lambda flow: views.flow(call.principal, flow, steps[flow.id])))


@router.get("/v1/flow/{flow_id}", operation_id="getFlow", response_model=schemas.Flow, responses=MISSING)
def get(flow_id: UUID, call: Caller) -> Response:
    """Get a flow."""
    with call.read() as session:
        return json_answer(_view(call, session, flows.get_flow(session, call.org_id, flow_id)))


@router.patch("/v1/flow/{flow_id}", operation_id="updateFlow", response_model=schemas.Flow, responses=MISSING)
def update(flow_id: UUID, given: FlowChange, call: Caller) -> Response:
    """Change a flow. Running jobs follow it from their next wave on, for all recipients that are left.

    A touchpoint that stays keeps its id.
    """
    with call.transaction() as session:
        given.check_unwritten(lambda: _view(call, session, flows.get_flow(session, call.org_id, flow_id)))
        flow = flows.update_flow(session, call.org_id, flow_id, given)
        return call.answer(session, _view(call, session, flow))


@router.delete(
    "/v1/flow/{flow_id}",
    operation_id="deleteFlow",
    status_code=NO_CONTENT,
    responses=MISSING | CONFLICT,
)
def delete(flow_id: UUID, call: Caller) -> Response:
    """Delete a flow that no campaign uses."""
    with call.transaction() as session:
        flows.delete_flow(session, call.org_id, flow_id)
        return call.answer(session, None, NO_CONTENT)
