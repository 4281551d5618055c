"""A new campaign: its name; what it says and to whom is written on the draft's page, which comes next."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from engine.api.console.draft_document import begun
from engine.api.console.paths import ROOT
from engine.api.console.view import ConsoleRoute, View, Viewing
from engine.audience.schemas import schemas_of
from engine.campaigns.drafts import begin_draft
from engine.kernel.inputs import Invalid

__all__ = ["router"]

router = APIRouter(route_class=ConsoleRoute, include_in_schema=False)

_PATH = f"{ROOT}/campaigns/new"


@router.get(_PATH)
def ask(view: Viewing) -> Response:
    """What it is called."""
    return _form(view)


@router.post(_PATH, name="console.create_campaign")
def create(view: Viewing) -> Response:
    """Begin the draft, and go on writing it."""
    org_id, by, name = view.call.org_id, view.call.principal.name, view.field("name")
    try:
        with view.call.transaction() as session:
            schemas = schemas_of(session, org_id)
            schema = "contact" if "contact" in schemas or not schemas else schemas[0]
            row = begin_draft(session, org_id, name, begun(name, schema).model_dump(), by=by)
            return view.go(f"{ROOT}/campaigns/{row.id}/write")
    except Invalid as error:
        return _form(view, error)


def _form(view: View, error: Invalid | None = None) -> Response:
    return view.page(
        "new_campaign.html", status=200 if error is None else 400, name=view.field("name"), error=error
    )
