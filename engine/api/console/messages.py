"""Templates of messages: list, write, see them as somebody would get them, send a test to an address of one's own."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from uuid import UUID

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from starlette.responses import Response

from engine.api.console.frames import mail_page, picture_hosts
from engine.api.console.paths import ROOT
from engine.api.console.view import FileRoute, LongFormRoute, View, Viewing
from engine.api.secrets import secrets_of
from engine.audience.entities import find_entity
from engine.campaigns.attachments import (
    MAX_FILE_BYTES,
    MAX_FILES,
    AttachmentInput,
    create_attachment,
    delete_attachment,
    list_attachments,
)
from engine.campaigns.previews import (
    PreviewInput,
    Test,
    TestInput,
    link_to_nowhere,
    prepare_test,
    preview,
    send_test,
)
from engine.campaigns.templates import (
    TemplateChange,
    TemplateInput,
    create_template,
    delete_template,
    get_template,
    list_templates,
    update_template,
)
from engine.channels.port import ChannelContext, Delivered
from engine.kernel.inputs import Invalid, read
from state.errors import NotFound

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from engine.api.rates import Rates
    from engine.campaigns.previews import Preview
    from state.tables import Template

__all__ = ["ROUTERS"]


class _AttachmentRoute(FileRoute):
    """A file; more bytes than one may have are read no further."""

    longest = MAX_FILE_BYTES + 1024


router = APIRouter(route_class=LongFormRoute, include_in_schema=False)
_files = APIRouter(route_class=_AttachmentRoute, include_in_schema=False)

ROUTERS = (_files, router)

_PATH = f"{ROOT}/templates"
_SIZE = 50
_PARTS = ("subject", "html", "mjml", "text")
_FIELDS = ("name", *_PARTS, "language")


@router.get(_PATH)
def show(view: Viewing, next: str = "") -> Response:  # noqa: A002
    """All of them."""
    with view.call.read() as session:
        found = list_templates(session, view.call.org_id, limit=_SIZE, next=next or None)
        return view.page(
            "templates.html",
            rows=found.results,
            total=found.total,
            first=not next,
            older=f"{_PATH}?{urlencode({'next': found.next})}" if found.next else "",
        )


@router.get(f"{_PATH}/new")
def new(view: Viewing) -> Response:
    """Write one."""
    return _form(view, None)


@router.post(f"{_PATH}/new", name="console.create_template")
def create(view: Viewing) -> Response:
    """Keep a new one; one that cannot be rendered is refused."""
    try:
        given = read(TemplateInput, {name: text for name, text in _given(view).items() if text})
        with view.call.transaction() as session:
            row = create_template(session, view.call.org_id, given)
            return view.go(f"{_PATH}/{row.id}", view.gettext("The template is kept."))
    except Invalid as error:
        return _form(view, None, error)


@router.get(f"{_PATH}/{{template_id}}")
def one(view: Viewing, template_id: UUID, person: str = "", language: str = "") -> Response:
    """A template, and what it says to somebody."""
    return _one(view, template_id, person, language)


@router.get(f"{_PATH}/{{template_id}}/preview.html")
def shown(view: Viewing, template_id: UUID, person: str = "", language: str = "") -> Response:
    """Its HTML as somebody would see it, for a frame of the page."""
    with view.call.read() as session:
        found = _preview(view, session, template_id, person, language)
    if found.content.html is None:
        raise NotFound("preview", template_id)
    return mail_page(found.content.html, pictures=picture_hosts(view.request))


@router.get(f"{_PATH}/{{template_id}}/edit")
def edit(view: Viewing, template_id: UUID) -> Response:
    """Change it."""
    with view.call.read() as session:
        return _form(view, get_template(session, view.call.org_id, template_id))


@router.post(f"{_PATH}/{{template_id}}/edit", name="console.update_template")
def change(view: Viewing, template_id: UUID) -> Response:
    """Keep the changes; running campaigns use them from their next wave on."""
    with view.call.read() as session:
        row = get_template(session, view.call.org_id, template_id)
    try:
        given = {name: text or None for name, text in _given(view).items()}
        given["subject"] = given["subject"] or ""
        with view.call.transaction() as session:
            update_template(
                session, view.call.org_id, template_id, read(TemplateChange, _changed(row, given))
            )
    except Invalid as error:
        return _form(view, row, error)
    return view.go(f"{_PATH}/{template_id}", view.gettext("The changes are kept."))


@router.get(f"{_PATH}/{{template_id}}/translation")
def translation(view: Viewing, template_id: UUID, language: str = "") -> Response:
    """Write a template in another language."""
    with view.call.read() as session:
        return _translation(view, get_template(session, view.call.org_id, template_id), language)


@router.post(f"{_PATH}/{{template_id}}/translation", name="console.translate_template")
def translate(view: Viewing, template_id: UUID) -> Response:
    """Keep a translation, or what is different in one; running campaigns use it from their next wave on."""
    language = view.field("language").strip()
    parts = {name: view.field(name) for name in _PARTS}
    if parts["mjml"]:
        del parts["html"]
    with view.call.read() as session:
        row = get_template(session, view.call.org_id, template_id)
    if not language:
        return _translation(
            view, row, language, Invalid("language", "is required, as a tag like de or de-AT")
        )
    try:
        kept = {name: values for name, values in (row.translations or {}).items() if name != language}
        said = {name: text for name, text in parts.items() if text}
        _write_translations(view, template_id, {**kept, language: said})
    except Invalid as error:
        return _translation(view, row, language, error)
    return view.go(f"{_PATH}/{template_id}", view.gettext("The translation is kept."))


@router.post(f"{_PATH}/{{template_id}}/translation/delete", name="console.delete_translation")
def remove_translation(view: Viewing, template_id: UUID) -> Response:
    """Take a translation away; its readers get the template's own text."""
    with view.call.read() as session:
        row = get_template(session, view.call.org_id, template_id)
    language = view.field("language")
    kept = {name: values for name, values in (row.translations or {}).items() if name != language}
    _write_translations(view, template_id, kept)
    return view.go(f"{_PATH}/{template_id}", view.gettext("The translation is removed."))


@_files.post(f"{_PATH}/{{template_id}}/files", name="console.attach_file")
async def attach(
    view: Viewing, request: Request, template_id: UUID, filename: str = "", content_id: str = ""
) -> Response:
    """Keep a file that goes with every message; the answer is a part of the page."""
    body = await request.body()
    return await run_sync(_attached, view, template_id, filename, content_id, body)


@router.post(f"{_PATH}/{{template_id}}/files/{{attachment_id}}/delete", name="console.detach_file")
def detach(view: Viewing, template_id: UUID, attachment_id: UUID) -> Response:
    """Take a file away."""
    with view.call.transaction() as session:
        delete_attachment(session, view.call.org_id, template_id, attachment_id)
    return view.go(f"{_PATH}/{template_id}", view.gettext("The file is removed."))


@router.post(f"{_PATH}/{{template_id}}/delete", name="console.delete_template")
def delete(view: Viewing, template_id: UUID) -> Response:
    """Remove one that no flow uses."""
    with view.call.transaction() as session:
        delete_template(session, view.call.org_id, template_id)
    return view.go(_PATH, view.gettext("The template is removed."))


@router.post(f"{_PATH}/{{template_id}}/test", name="console.test_template")
async def test(view: Viewing, template_id: UUID) -> Response:
    """Really send one message to an address of one's own."""
    rates: Rates = view.request.app.state.rates
    await rates.count_test(view.call.org_id)
    try:
        prepared = await run_sync(_prepared, view, template_id)
    except Invalid as error:
        return await run_sync(_one, view, template_id, view.field("person"), "", error)
    outcome = await send_test(prepared)
    if isinstance(outcome, Delivered):
        return view.go(f"{_PATH}/{template_id}", view.gettext("The test is on its way."))
    refused = Invalid("address", str(getattr(outcome, "text", "") or type(outcome).__name__))
    return await run_sync(_one, view, template_id, view.field("person"), "", refused)


def _one(
    view: View, template_id: UUID, person: str, language: str = "", error: Invalid | None = None
) -> Response:
    with view.call.read() as session:
        row = get_template(session, view.call.org_id, template_id)
        found, trouble = None, None
        try:
            found = _preview(view, session, template_id, person, language)
        except (Invalid, NotFound) as refused:
            trouble = str(refused)
        return view.page(
            "template.html",
            status=200 if error is None else 400,
            row=row,
            found=found,
            trouble=trouble,
            person=person,
            language=language,
            query=f"?{urlencode({'person': person, 'language': language})}",
            files=list_attachments(session, view.call.org_id, template_id, limit=MAX_FILES).results,
            error=error,
        )


def _attached(view: View, template_id: UUID, filename: str, content_id: str, content: bytes) -> Response:
    error = None
    try:
        given = {
            "filename": filename,
            "content": base64.b64encode(content).decode(),
            "content_id": content_id or None,
        }
        with view.call.transaction() as session:
            create_attachment(session, view.call.org_id, template_id, read(AttachmentInput, given))
    except Invalid as refused:
        error = refused
    with view.call.read() as session:
        return view.page(
            "_template_files.html",
            status=200 if error is None else 400,
            row=get_template(session, view.call.org_id, template_id),
            files=list_attachments(session, view.call.org_id, template_id, limit=MAX_FILES).results,
            error=error,
        )


def _translation(view: View, row: Template, language: str, error: Invalid | None = None) -> Response:
    known = (row.translations or {}).get(language, {})
    given = {name: view.field(name) if view.form else known.get(name) or "" for name in _PARTS}
    if not view.form and given["mjml"]:
        given["html"] = ""  # made from the MJML
    return view.page(
        "template_translation.html",
        status=200 if error is None else 400,
        row=row,
        language=language,
        is_known=language in (row.translations or {}),
        given=given,
        error=error,
    )


def _write_translations(view: View, template_id: UUID, translations: dict[str, Any]) -> None:
    with view.call.transaction() as session:
        change = read(TemplateChange, {"translations": translations or None})
        update_template(session, view.call.org_id, template_id, change)


def _form(view: View, row: Template | None, error: Invalid | None = None) -> Response:
    known = (
        {name: getattr(row, name) or "" for name in _FIELDS}
        if row is not None
        else dict.fromkeys(_FIELDS, "")
    )
    if row is not None and row.mjml:
        known["html"] = ""  # made from the MJML
    given = _given(view) if view.form else known
    return view.page(
        "template_form.html", status=200 if error is None else 400, row=row, given=given, error=error
    )


def _given(view: View) -> dict[str, str]:
    return {name: view.field(name) for name in _FIELDS}


def _changed(row: Template, given: dict[str, Any]) -> dict[str, Any]:
    """What is different; HTML that was made from MJML goes with it."""
    if given["mjml"]:
        del given["html"]
    return {name: value for name, value in given.items() if value != (getattr(row, name) or None)}


def _preview(view: View, session: Session, template_id: UUID, person: str, language: str) -> Preview:
    entity_id = find_entity(session, view.call.org_id, person).id if person else None
    given = read(PreviewInput, {"entity_id": entity_id, "language": language or None})
    row = get_template(session, view.call.org_id, template_id)
    return preview(
        session, row, given, unsubscribe_url=link_to_nowhere(view.call.runtime.settings.public_url)
    )


def _prepared(view: View, template_id: UUID) -> Test:
    runtime, person = view.call.runtime, view.field("person")
    with view.call.read() as session:
        entity_id = find_entity(session, view.call.org_id, person).id if person else None
        given = read(TestInput, {"address": view.field("address"), "entity_id": entity_id})
        return prepare_test(
            session,
            get_template(session, view.call.org_id, template_id),
            given,
            unsubscribe_url=link_to_nowhere(runtime.settings.public_url),
            secrets=secrets_of(view.request),
            channel_context=ChannelContext.of(runtime.settings, runtime.database),
        )
