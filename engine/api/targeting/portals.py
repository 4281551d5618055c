"""`/v1/portal` and `/v1/portal/{id}/widget` (docs/contract/own-routes.md)."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from engine.api.answers import NO_CONTENT, json_answer
from engine.api.call import Caller
from engine.api.targeting import schemas, views
from engine.api.targeting.errors import TargetingRoute
from engine.api.targeting.parameters import COMMON, MISSING, Limit, Next
from engine.campaigns import portals
from engine.campaigns.portals import PortalChange, PortalInput, WidgetChange, WidgetInput

__all__ = ["router"]

router = APIRouter(route_class=TargetingRoute, tags=["Portal"], responses=COMMON)


@router.post("/v1/portal", operation_id="createPortal", status_code=201, response_model=schemas.Portal)
def create(given: PortalInput, call: Caller) -> Response:
    """Create a portal."""
    with call.transaction() as session:
        return call.answer(session, views.portal(portals.create_portal(session, call.org_id, given)), 201)


@router.get("/v1/portal", operation_id="listPortals", response_model=schemas.Results)
def listed(call: Caller, limit: Limit = 25, next: Next = None) -> Response:  # noqa: A002
    """List portals, newest first."""
    with call.read() as session:
        found = portals.list_portals(session, call.org_id, limit=limit, next=next or None)
        return json_answer(views.page(found, views.portal))


@router.get(
    "/v1/portal/{portal_id}", operation_id="getPortal", response_model=schemas.Portal, responses=MISSING
)
def get(portal_id: UUID, call: Caller) -> Response:
    """Get a portal."""
    with call.read() as session:
        return json_answer(views.portal(portals.get_portal(session, call.org_id, portal_id)))


@router.patch(
    "/v1/portal/{portal_id}",
    operation_id="updatePortal",
    response_model=schemas.Portal,
    responses=MISSING,
)
def update(portal_id: UUID, given: PortalChange, call: Caller) -> Response:
    """Change a portal."""
    with call.transaction() as session:
        given.check_unwritten(lambda: views.portal(portals.get_portal(session, call.org_id, portal_id)))
        portal = portals.update_portal(session, call.org_id, portal_id, given)
        return call.answer(session, views.portal(portal))


@router.delete(
    "/v1/portal/{portal_id}", operation_id="deletePortal", status_code=NO_CONTENT, responses=MISSING
)
def delete(portal_id: UUID, call: Caller) -> Response:
    """Delete a portal and its widgets."""
    with call.transaction() as session:
        portals.delete_portal(session, call.org_id, portal_id)
        return call.answer(session, None, NO_CONTENT)


@router.post(
    "/v1/portal/{portal_id}/widget",
    operation_id="createWidget",
    status_code=201,
    response_model=schemas.Widget,
    responses=MISSING,
)
def create_widget(portal_id: UUID, given: WidgetInput, call: Caller) -> Response:
    """Put a widget on a portal."""
    with call.transaction() as session:
        widget = portals.create_widget(session, call.org_id, portal_id, given)
        return call.answer(session, views.widget(widget), 201)


@router.get(
    "/v1/portal/{portal_id}/widget",
    operation_id="listWidgets",
    response_model=schemas.Results,
    responses=MISSING,
)
def list_widgets(
    portal_id: UUID,
    call: Caller,
    limit: Limit = 25,
    next: Next = None,  # noqa: A002
) -> Response:
    """List a portal's widgets, newest first."""
    with call.read() as session:
        found = portals.list_widgets(session, call.org_id, portal_id, limit=limit, next=next or None)
        return json_answer(views.page(found, views.widget))


@router.get(
    "/v1/portal/{portal_id}/widget/{widget_id}",
    operation_id="getWidget",
    response_model=schemas.Widget,
    responses=MISSING,
)
def get_widget(portal_id: UUID, widget_id: UUID, call: Caller) -> Response:
    """Get a widget."""
    with call.read() as session:
        return json_answer(views.widget(portals.get_widget(session, call.org_id, portal_id, widget_id)))


@router.patch(
    "/v1/portal/{portal_id}/widget/{widget_id}",
    operation_id="updateWidget",
    response_model=schemas.Widget,
    responses=MISSING,
)
def update_widget(portal_id: UUID, widget_id: UUID, given: WidgetChange, call: Caller) -> Response:
    """Change a widget."""
    with call.transaction() as session:
        given.check_unwritten(
            lambda: views.widget(portals.get_widget(session, call.org_id, portal_id, widget_id))
        )
        widget = portals.update_widget(session, call.org_id, portal_id, widget_id, given)
        return call.answer(session, views.widget(widget))


@router.delete(
    "/v1/portal/{portal_id}/widget/{widget_id}",
    operation_id="deleteWidget",
    status_code=NO_CONTENT,
    responses=MISSING,
)
def delete_widget(portal_id: UUID, widget_id: UUID, call: Caller) -> Response:
    """Take a widget off its portal."""
    with call.transaction() as session:
        portals.delete_widget(session, call.org_id, portal_id, widget_id)
        return call.answer(session, None, NO_CONTENT)
