"""Audience: people by schema, imports from a file with the lines that were refused, targets, the suppression list."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote, urlencode
from uuid import UUID

from anyio.to_thread import run_sync
from fastapi import APIRouter, Query, Request
from starlette.responses import Response, StreamingResponse

from engine.api.console.paths import ROOT
from engine.api.console.view import AdminRoute, ConsoleRoute, StreamedFormRoute, View, Viewing
from engine.api.imports import imported
from engine.api.secrets import secrets_of
from engine.audience.entities import count_entities, get_entity, search_entities
from engine.audience.importing import ImportInterrupted, import_entities
from engine.audience.preview import preview_target
from engine.audience.schemas import schemas_of
from engine.campaigns.campaigns import get_campaign
from engine.filters.filters import FilterError, parse_filters
from engine.filters.targets import TargetInput, create_target, delete_target, get_target, list_targets
from engine.filters.where import tree_of
from engine.filters.where_text import write_where
from engine.insight.recipient_report import campaigns_of_entity
from engine.kernel.inputs import Invalid, read
from engine.people.erase import begin_erasure
from engine.people.export import export_person

if TYPE_CHECKING:
    from collections.abc import Iterator

    from state.tables import Target

__all__ = ["ROUTERS"]

router = APIRouter(route_class=ConsoleRoute, include_in_schema=False)

_SIZE = 50
_SAMPLES = 10
_LONGEST_SEARCH = 200
#: Of a list that was imported, and the attribute that keeps it.
_LONGEST_MARK = 60
_MARK = "list"
_PEOPLE = f"{ROOT}/audience"
_TARGETS = f"{ROOT}/audience/targets"


_admin = APIRouter(route_class=AdminRoute, include_in_schema=False)
_streamed = APIRouter(route_class=StreamedFormRoute, include_in_schema=False)


@router.get(_PEOPLE)
def people(view: Viewing, schema: str = "", q: str = "", next: str = "") -> Response:  # noqa: A002
    """People of one schema, searched."""
    q = q.strip()[:_LONGEST_SEARCH]
    with view.call.read() as session:
        schemas = schemas_of(session, view.call.org_id)
        schema = schema if schema in schemas else (schemas[0] if schemas else "contact")
        found = search_entities(session, view.call.org_id, schema, q or None, limit=_SIZE, next=next or None)
        asked = {"schema": schema, "q": q}
        return view.page(
            "audience.html",
            schemas=schemas or [schema],
            schema=schema,
            q=q,
            rows=found.results,
            looked_at=found.looked_at,
            full=len(found.results) == _SIZE,
            first=not next,
            older=f"{_PEOPLE}?{urlencode({**asked, 'next': found.next})}" if found.next else "",
        )


@router.get(f"{_PEOPLE}/count")
def count(view: Viewing, schema: str) -> Response:
    """How many people a schema has: a part of the page, which does not wait for it."""
    with view.call.read() as session:
        return view.page("_audience_count.html", total=count_entities(session, view.call.org_id, schema))


@router.get(f"{_PEOPLE}/people/{{schema}}/{{entity_id}}")
def person(view: Viewing, schema: str, entity_id: UUID) -> Response:
    """One person, and every campaign that has them."""
    with view.call.read() as session:
        entity = get_entity(session, view.call.org_id, schema, entity_id)
        return view.page(
            "person.html", entity=entity, campaigns=campaigns_of_entity(session, view.call.org_id, entity_id)
        )


@router.get(f"{_PEOPLE}/people/{{schema}}/{{entity_id}}/export.json")
def export(view: Viewing, schema: str, entity_id: UUID) -> Response:
    """All that is kept about one person."""
    pieces = export_person(view.call.runtime.database, view.call.org_id, schema, entity_id)
    view.call.note_request("entity", "export", entity_id=str(entity_id))
    headers = {"content-disposition": f'attachment; filename="person-{entity_id}.json"'}
    return StreamingResponse(pieces, media_type="application/json", headers=headers)


@router.get(f"{_PEOPLE}/people/{{schema}}/{{entity_id}}/erase")
def ask_erasure(view: Viewing, schema: str, entity_id: UUID) -> Response:
    """What erasing would do."""
    with view.call.read() as session:
        entity = get_entity(session, view.call.org_id, schema, entity_id)
        return view.page(
            "erase.html", entity=entity, campaigns=campaigns_of_entity(session, view.call.org_id, entity_id)
        )


@_admin.post(f"{_PEOPLE}/people/{{schema}}/{{entity_id}}/erase", name="console.erase_person")
def erase(view: Viewing, schema: str, entity_id: UUID) -> Response:
    """Remove somebody for good; what other places hold of them goes in the background."""
    with view.call.transaction() as session:
        begin_erasure(
            session,
            view.call.org_id,
            schema,
            entity_id,
            by=view.call.principal.name,
            secrets=secrets_of(view.request),
        )
    return view.go(f"{_PEOPLE}?schema={quote(schema)}", view.gettext("They are being erased."))


@router.get(f"{_PEOPLE}/import")
def ask_import(view: Viewing, campaign: UUID | None = None) -> Response:
    """Choose a file; of a campaign that is being written, whose audience it is to be."""
    with view.call.read() as session:
        row = None if campaign is None else get_campaign(session, view.call.org_id, campaign)
        mark = "" if row is None else row.name[:_LONGEST_MARK]
        return view.page(
            "import.html", schemas=schemas_of(session, view.call.org_id), campaign=row, mark=mark
        )


@_streamed.post(f"{_PEOPLE}/import", name="console.import_entities")
async def import_file(
    view: Viewing,
    request: Request,
    schema: str = "contact",
    external_id: str = "",
    title: str = "",
    key: str = "",
    mark: str = "",
    campaign: UUID | None = None,
    column: Annotated[list[str], Query()] = [],  # noqa: B006 - FastAPI copies it
    attribute: Annotated[list[str], Query()] = [],  # noqa: B006
) -> Response:
    """Take in a file of people; the answer is a part of the page."""
    call = view.call
    mark = mark.strip()[:_LONGEST_MARK]
    names = {was: name.strip() for was, name in zip(column, attribute, strict=False) if was != name.strip()}

    def work(chunks: Iterator[bytes]) -> object:
        return import_entities(
            call.runtime.transaction,
            call.org_id,
            schema,
            chunks,
            content_type=request.headers.get("content-type", ""),
            external_id=external_id or None,
            title=title or None,
            key=key or None,
            renamed=names,
            added={_MARK: mark} if mark else {},
        )

    try:
        result = await imported(request, work)
    except (Invalid, ImportInterrupted) as error:
        return await run_sync(partial(view.page, "_import_refused.html", status=400, error=error))
    noted = partial(call.note_request, "entity", "import", schema=schema)
    await run_sync(noted)
    return await run_sync(
        partial(
            view.page,
            "_import_done.html",
            result=result,
            schema=schema,
            mark=mark,
            campaign=campaign,
            name=_MARK,
        )
    )


@router.get(_TARGETS)
def targets(view: Viewing, q: str = "", next: str = "") -> Response:  # noqa: A002
    """Saved audiences."""
    q = q.strip()[:_LONGEST_SEARCH]
    with view.call.read() as session:
        found = list_targets(session, view.call.org_id, q=q or None, limit=_SIZE, next=next or None)
        return view.page(
            "targets.html",
            rows=[(row, _conditions(row)) for row in found.results],
            total=found.total,
            q=q,
            first=not next,
            older=f"{_TARGETS}?{urlencode({'q': q, 'next': found.next})}" if found.next else "",
        )


@router.get(f"{_TARGETS}/new")
def new_target(view: Viewing) -> Response:
    """Write a target."""
    return _target_form(view)


@router.post(f"{_TARGETS}/new", name="console.create_target")
def make_target(view: Viewing) -> Response:
    """Keep a target."""
    try:
        given = _target_of(view)
        with view.call.transaction() as session:
            row = create_target(session, view.call.org_id, given)
            return view.go(f"{_TARGETS}/{row.id}", view.gettext("The target is kept."))
    except Invalid as error:
        return _target_form(view, error)


@router.get(f"{_TARGETS}/{{target_id}}")
def target(view: Viewing, target_id: UUID) -> Response:
    """Who is in a target now."""
    with view.call.read() as session:
        row = get_target(session, view.call.org_id, target_id)
        return view.page("target.html", row=row, conditions=_conditions(row))


@router.get(f"{_TARGETS}/{{target_id}}/people")
def people_in_target(view: Viewing, target_id: UUID) -> Response:
    """How many people are in a target now, and what is odd about their data: a part of the page, which does not wait
    for it.
    """
    with view.call.read() as session:
        row = get_target(session, view.call.org_id, target_id)
        return view.page("_target_people.html", seen=preview_target(session, view.call.org_id, row, view.now))


@router.post(f"{_TARGETS}/{{target_id}}/delete", name="console.delete_target")
def remove_target(view: Viewing, target_id: UUID) -> Response:
    """Remove a target that no campaign needs."""
    with view.call.transaction() as session:
        delete_target(session, view.call.org_id, target_id)
    return view.go(_TARGETS, view.gettext("The target is removed."))


def _target_form(view: View, error: Invalid | None = None) -> Response:
    with view.call.read() as session:
        return view.page(
            "target_form.html",
            status=200 if error is None else 400,
            schemas=schemas_of(session, view.call.org_id) or ["contact"],
            given={name: view.field(name) for name in ("name", "entity_schema", "where")},
            error=error,
        )


def _target_of(view: View) -> TargetInput:
    """The target that a form describes; each line of conditions must hold."""
    lines = [line.strip() for line in view.field("where").splitlines() if line.strip()]
    return read(
        TargetInput,
        {
            "name": view.field("name"),
            "entity_schema": view.field("entity_schema") or "contact",
            "entity_filters": tree_of(lines, field="where") if lines else None,
        },
    )


def _conditions(row: Target) -> str:
    """A target's conditions as people write them."""
    try:
        tree = parse_filters(row.entity_filters)
    except FilterError as error:
        return str(error)
    return write_where(tree) if tree is not None else ""


#: The import first: its path would do as a person's.
ROUTERS = (_streamed, _admin, router)
