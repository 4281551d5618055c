"""`/v1/template` (docs/contract/own-routes.md): message templates, their files, previews and tests."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from engine.api.answers import NO_CONTENT, json_answer
from engine.api.call import Call, Caller
from engine.api.secrets import secrets_of
from engine.api.targeting import schemas, template_schemas, views
from engine.api.targeting.parameters import COMMON, CONFLICT, MISSING, Limit, Next
from engine.api.targeting.routes import LongRoute, ReadingRoute
from engine.campaigns import attachments, previews, templates
from engine.campaigns.attachments import AttachmentInput
from engine.campaigns.previews import PreviewInput, Test, TestInput
from engine.campaigns.templates import TemplateChange, TemplateInput
from engine.channels.port import ChannelContext

if TYPE_CHECKING:
    from engine.api.rates import Rates

__all__ = ["reading", "router"]

#: Looking at a template changes nothing.
reading = APIRouter(route_class=ReadingRoute, tags=["Template"], responses=COMMON)
router = APIRouter(route_class=LongRoute, tags=["Template"], responses=COMMON)


@router.post(
    "/v1/template", operation_id="createTemplate", status_code=201, response_model=template_schemas.Template
)
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
    response_model=template_schemas.Template,
    responses=MISSING,
)
def get(template_id: UUID, call: Caller) -> Response:
    """Get a template."""
    with call.read() as session:
        return json_answer(views.template(templates.get_template(session, call.org_id, template_id)))


@router.patch(
    "/v1/template/{template_id}",
    operation_id="updateTemplate",
    response_model=template_schemas.Template,
    responses=MISSING,
)
def update(template_id: UUID, given: TemplateChange, call: Caller) -> Response:
    """Change a template; running jobs use it from their next wave on."""
    with call.transaction() as session:
        given.check_unwritten(
            lambda: views.template(templates.get_template(session, call.org_id, template_id))
        )
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


@reading.post(
    "/v1/template/{template_id}:preview",
    operation_id="previewTemplate",
    response_model=template_schemas.TemplatePreview,
    responses=MISSING,
)
def preview(template_id: UUID, given: PreviewInput, call: Caller) -> Response:
    """Show what a template says to an entity, or to somebody with these attributes."""
    with call.read() as session:
        found = previews.preview(
            session,
            templates.get_template(session, call.org_id, template_id),
            given,
            unsubscribe_url=previews.link_to_nowhere(call.runtime.settings.public_url),
        )
        return json_answer(views.template_preview(found))


@router.post(
    "/v1/template/{template_id}:test",
    operation_id="testTemplate",
    response_model=template_schemas.TemplateTest,
    responses=MISSING,
)
async def test(template_id: UUID, given: TestInput, call: Caller, request: Request) -> Response:
    """Really send one message to an address of your own. No campaign learns of it."""
    rates: Rates = request.app.state.rates
    await rates.count_test(call.org_id)
    prepared = await call.in_thread(_prepared, call, template_id, given, request)
    return json_answer(views.template_test(await previews.send_test(prepared)))


def _prepared(call: Call, template_id: UUID, given: TestInput, request: Request) -> Test:
    runtime = call.runtime
    with call.read() as session:
        return previews.prepare_test(
            session,
            templates.get_template(session, call.org_id, template_id),
            given,
            unsubscribe_url=previews.link_to_nowhere(runtime.settings.public_url),
            secrets=secrets_of(request),
            channel_context=ChannelContext.of(runtime.settings, runtime.database),
        )


@router.post(
    "/v1/template/{template_id}/attachment",
    operation_id="createAttachment",
    status_code=201,
    response_model=template_schemas.Attachment,
    responses=MISSING,
)
def attach(template_id: UUID, given: AttachmentInput, call: Caller) -> Response:
    """Attach a file to every message of a template, or give its HTML an image to show."""
    with call.transaction() as session:
        row = attachments.create_attachment(session, call.org_id, template_id, given)
        return call.answer(session, views.attachment(row), 201)


@router.get(
    "/v1/template/{template_id}/attachment",
    operation_id="listAttachments",
    response_model=schemas.Results,
    responses=MISSING,
)
def attached(template_id: UUID, call: Caller, limit: Limit = 25, next: Next = None) -> Response:  # noqa: A002
    """List a template's files, newest first, without their content."""
    with call.read() as session:
        found = attachments.list_attachments(
            session, call.org_id, template_id, limit=limit, next=next or None
        )
        return json_answer(views.page(found, views.attachment))


@router.get(
    "/v1/template/{template_id}/attachment/{attachment_id}",
    operation_id="getAttachment",
    response_model=template_schemas.AttachmentWithContent,
    responses=MISSING,
)
def attachment(template_id: UUID, attachment_id: UUID, call: Caller) -> Response:
    """Get a file with its content in base64."""
    with call.read() as session:
        row = attachments.get_attachment(session, call.org_id, template_id, attachment_id, content=True)
        return json_answer(views.attachment_with_content(row))


@router.delete(
    "/v1/template/{template_id}/attachment/{attachment_id}",
    operation_id="deleteAttachment",
    status_code=NO_CONTENT,
    responses=MISSING,
)
def detach(template_id: UUID, attachment_id: UUID, call: Caller) -> Response:
    """Take a file away."""
    with call.transaction() as session:
        attachments.delete_attachment(session, call.org_id, template_id, attachment_id)
        return call.answer(session, None, NO_CONTENT)
