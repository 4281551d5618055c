"""`/v1/organization`: what holds for all campaigns of the key's organization. Changing it is an admin's."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from engine import organizations
from engine.api.answers import json_answer
from engine.api.call import Caller
from engine.api.targeting import schemas, views
from engine.api.targeting.errors import AdminRoute
from engine.api.targeting.parameters import COMMON
from engine.organization_settings import OrganizationChange, update_organization

__all__ = ["router"]

router = APIRouter(route_class=AdminRoute, tags=["Organization"], responses=COMMON)


@router.get("/v1/organization", operation_id="getOrganization", response_model=schemas.Organization)
def get(call: Caller) -> Response:
    """Get the organization that the key belongs to."""
    with call.read() as session:
        return json_answer(views.organization(organizations.get_organization(session, call.org_id)))


@router.patch("/v1/organization", operation_id="updateOrganization", response_model=schemas.Organization)
def update(given: OrganizationChange, call: Caller) -> Response:
    """Change its time zone or its limits; limits take effect within a second."""
    with call.transaction() as session:
        given.check_unwritten(
            lambda: views.organization(organizations.get_organization(session, call.org_id))
        )
        organization = update_organization(session, call.org_id, given)
        return call.answer(session, views.organization(organization))
