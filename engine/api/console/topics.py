"""Topics: what people may opt out of; added, and removed while no campaign is about them."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from engine.api.console.paths import ROOT
from engine.api.console.view import ConsoleRoute, View, Viewing
from engine.engagement.topics import (
    MOST,
    TopicInput,
    count_opt_outs,
    create_topic,
    delete_topic,
    list_topics,
)
from engine.kernel.inputs import InUse, Invalid, read

__all__ = ["router"]

router = APIRouter(route_class=ConsoleRoute, include_in_schema=False)

_TOPICS = f"{ROOT}/audience/topics"


@router.get(_TOPICS)
def show(view: Viewing) -> Response:
    """The topics, and how many addresses opted out of each."""
    return _topics(view)


@router.post(_TOPICS, name="console.create_topic")
def create(view: Viewing) -> Response:
    """Add a topic."""
    try:
        given = {"name": view.field("name"), "description": view.field("description") or None}
        with view.call.transaction() as session:
            create_topic(session, view.call.org_id, read(TopicInput, given))
    except Invalid as error:
        return _topics(view, error)
    return view.go(_TOPICS, view.gettext("People may choose it from now on."))


@router.post(f"{_TOPICS}/{{topic_id}}/delete", name="console.delete_topic")
def delete(view: Viewing, topic_id: UUID) -> Response:
    """Remove a topic."""
    try:
        with view.call.transaction() as session:
            delete_topic(session, view.call.org_id, topic_id)
    except InUse as error:
        return _topics(view, Invalid("topic", str(error)))
    return view.go(_TOPICS, view.gettext("The topic is gone."))


def _topics(view: View, error: Invalid | None = None) -> Response:
    with view.call.read() as session:
        return view.page(
            "topics.html",
            status=200 if error is None else 400,
            rows=list_topics(session, view.call.org_id, limit=MOST).results,
            opt_outs=count_opt_outs(session, view.call.org_id),
            error=error,
            given={name: view.field(name) for name in ("name", "description")},
        )
