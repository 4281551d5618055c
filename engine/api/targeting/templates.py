"""`/v1/template` (contract.md §8): message templates."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from engine.api.answers import NO_CONTENT, json_answer
from engine.api.call import Caller
from engine.api.targeting import schemas, views
from engine.api.targeting.errors import TargetingRoute
from engine.api.targeting.parameters import COMMON, CONFLICT, MISSING, Limit, Next
from engine.campaigns import templates
from engine.campaigns.templates import TemplateChange, TemplateInput

__all__ = ["router"]

router = APIRouter(route_class=TargetingRoute, tags=["Template"], responses=COMMON)


@router.post("/v1/template", operation_id="createTemplate", status_code=201, response_model=schemas.Template)
def create(given: TemplateInput, call: Caller) -> Response:
    """Create a template; one that cannot be rendered is refused."""
    with call.transaction() as session:
        return call.answer(
            session, views.template(templates.create_template(session, call.org_id, given)), 201
        )


@router.get("/v1/template", operation_id="listTemplates", response_model=schemas.Results)
def listed(call: Caller, limit: Limit = 25, next: Next = None) -> Response:  # noqa: A002
    """List templates, newest first."""
    with call.read() as session:
        found = templates.list_templates(session, call.org_id, limit=limit, next=next or None)
        return json_answer(views.page(found, views.template))


@router.get(
    "/v1/template/{template_id}",
    operation_id="getTemplate",
    response_model=schemas.Template,
    responses=MISSING,
)
def get(template_id: UUID, call: Caller) -> Response:
    """Get a template."""
    with call.read() as session:
        return json_answer(views.template(templates.get_template(session, call.org_id, template_id)))


@router.patch(
    "/v1/template/{template_id}",
    operation_id="updateTemplate",
    response_model=schemas.Template,
    responses=MISSING,
)
def update(template_id: UUID, given: TemplateChange, call: Caller) -> Response:
    """Change a template; running jobs use it from their next slice on."""
    with call.transaction() as session:
        template = templates.update_template(session, call.org_id, template_id, given)
        return call.answer(session, views.template(template))


@router.delete(
    "/v1/template/{template_id}",
    operation_id="deleteTemplate",
    status_code=NO_CONTENT,
    responses=MISSING | CONFLICT,
)
def delete(template_id: UUID, call: Caller) -> Response:
    """Delete a template that no flow uses."""
    with call.transaction() as session:
        templates.delete_template(session, call.org_id, template_id)
        return call.answer(session, None, NO_CONTENT)
