"""`/v1/entity/{schema}/{id}:export` and `:erase` (docs/people.md): what is known of a person, and forgetting it."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response, StreamingResponse

from engine import audit
from engine.api.call import Caller
from engine.api.targeting import schemas
from engine.api.targeting.errors import AdminReadRoute
from engine.api.targeting.parameters import COMMON, MISSING
from engine.people.erase import begin_erasure, erasure_json, find_erasure, go_on
from engine.people.export import export_person

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["router"]

router = APIRouter(route_class=AdminReadRoute, tags=["Entity"], responses={**COMMON, **MISSING})

#: Seconds that a request works at an erasure; the sweeper goes on with what is left.
_SECONDS = 5.0


class PersonExport(schemas.Answer):
    """Everything that is known of a person."""

    entity: dict[str, Any]
    suppressions: list[dict[str, Any]]
    topic_opt_outs: list[dict[str, Any]] = Field(description="Topics that they do not want.")
    contacts: list[dict[str, Any]] = Field(description="Messages that frequency caps count.")
    campaigns: list[dict[str, Any]] = Field(description="Each with its recipient, executions and engagement.")


class Erasure(schemas.Answer):
    """An erasure: how far it is, and that it was done."""

    id: UUID = Field(alias="_id")
    entity_id: UUID
    schema_: str = Field(alias="schema")
    status: Literal["running", "erased", "done"]
    asked_at: str
    asked_by: str
    erased_at: str | None = None
    last_look_at: str | None = Field(default=None, description="For what was under way meanwhile.")
    counts: dict[str, int]


def _within(seconds: float) -> Callable[[], bool]:
    """Says when the time is over."""
    ends = time.monotonic() + seconds
    return lambda: time.monotonic() >= ends


@router.get(
    "/v1/entity/{schema}/{entity_id}:export", operation_id="exportEntity", response_model=PersonExport
)
async def export(schema: str, entity_id: UUID, call: Caller) -> Response:
    """Everything that is known of a person: the entity, and what every campaign keeps of it. For administrators."""
    pieces = await call.in_thread(
        partial(export_person, call.runtime.database, call.org_id, schema, entity_id)
    )
    await call.in_thread(partial(call.note_request, "entity", "export", entity=str(entity_id), schema=schema))
    return StreamingResponse(pieces, media_type="application/json")


@router.post(
    "/v1/entity/{schema}/{entity_id}:erase",
    operation_id="eraseEntity",
    response_model=Erasure,
    responses={202: {"model": Erasure, "description": "The rest is done in the background"}},
)
def erase(schema: str, entity_id: UUID, call: Caller) -> Response:
    """Erase a person for good: nothing that says who they are is left, their addresses stay barred, and every count
    stays true. Asked again: how far it is. For administrators.
    """
    runtime = call.runtime
    runtime.open_keys()
    with call.transaction() as session:
        erasure = begin_erasure(
            session, call.org_id, schema, entity_id, by=call.author.name, secrets=runtime.secrets
        )
        audit.note(session, "entity", "erase", entity_id, schema=schema, erasure=str(erasure.id))
    go_on(runtime, erasure.id, until_done=_within(_SECONDS))
    with call.transaction() as session:
        shown = erasure_json(find_erasure(session, call.org_id, entity_id))
        return call.answer(session, shown, 200 if "erased_at" in shown else 202)
