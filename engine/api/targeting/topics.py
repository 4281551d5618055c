"""`/v1/topic` (docs/consent.md): kinds of messages that people may opt out of."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from engine.api.answers import NO_CONTENT, json_answer
from engine.api.call import Caller
from engine.api.targeting import schemas, views
from engine.api.targeting.errors import TargetingRoute
from engine.api.targeting.parameters import COMMON, CONFLICT, MISSING, Limit, Next
from engine.engagement import topics
from engine.engagement.topics import TopicChange, TopicInput

__all__ = ["router"]

router = APIRouter(route_class=TargetingRoute, tags=["Topic"], responses=COMMON)


@router.post("/v1/topic", operation_id="createTopic", status_code=201, response_model=schemas.Topic)
def create(given: TopicInput, call: Caller) -> Response:
    """Create a topic. People see it on their preference page from now on."""
    with call.transaction() as session:
        return call.answer(session, views.topic(topics.create_topic(session, call.org_id, given)), 201)


@router.get("/v1/topic", operation_id="listTopics", response_model=schemas.Results)
def listed(call: Caller, limit: Limit = 25, next: Next = None) -> Response:  # noqa: A002
    """List topics, newest first."""
    with call.read() as session:
        found = topics.list_topics(session, call.org_id, limit=limit, next=next or None)
        return json_answer(views.page(found, views.topic))


@router.get("/v1/topic/{topic_id}", operation_id="getTopic", response_model=schemas.Topic, responses=MISSING)
def get(topic_id: UUID, call: Caller) -> Response:
    """Get a topic."""
    with call.read() as session:
        return json_answer(views.topic(topics.get_topic(session, call.org_id, topic_id)))


@router.patch(
    "/v1/topic/{topic_id}", operation_id="updateTopic", response_model=schemas.Topic, responses=MISSING
)
def update(topic_id: UUID, given: TopicChange, call: Caller) -> Response:
    """Change a topic's texts. Who opted out of it stays so."""
    with call.transaction() as session:
        given.check_unwritten(lambda: views.topic(topics.get_topic(session, call.org_id, topic_id)))
        return call.answer(session, views.topic(topics.update_topic(session, call.org_id, topic_id, given)))


@router.delete(
    "/v1/topic/{topic_id}",
    operation_id="deleteTopic",
    status_code=NO_CONTENT,
    responses=MISSING | CONFLICT,
)
def delete(topic_id: UUID, call: Caller) -> Response:
    """Delete a topic that no campaign is about, and who opted out of it."""
    with call.transaction() as session:
        topics.delete_topic(session, call.org_id, topic_id)
        return call.answer(session, None, NO_CONTENT)
