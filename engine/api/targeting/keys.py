"""`/v1/key` (docs/identity.md): the organization's API keys. All of it is an admin's; a key itself is shown once."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body
from pydantic import Field
from starlette.responses import Response

from engine.api.answers import json_answer
from engine.api.call import Caller
from engine.api.targeting import schemas, views
from engine.api.targeting.errors import AdminReadRoute
from engine.api.targeting.parameters import COMMON, CONFLICT, MISSING, Limit, Next
from engine.authentication import api_keys
from engine.authentication.api_keys import KeyInput, KeyRotation

if TYPE_CHECKING:
    from state.tables import ApiKey

__all__ = ["router"]

router = APIRouter(route_class=AdminReadRoute, tags=["Key"], responses=COMMON)


class Key(schemas.Answer):
    """What is known of an API key."""

    id_: UUID = Field(alias="_id")
    name: str
    role: str = Field(description="viewer, operator or admin.")
    prefix: str = Field(description="Its first characters.")
    key: str | None = Field(default=None, description="The key itself, in the answer that made it alone.")
    created_at: datetime
    last_used_at: datetime | None = Field(default=None, description="Exact to a minute.")
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    networks: list[str] | None = Field(
        default=None, description="Where it may be used from; absent: anywhere."
    )


@router.post("/v1/key", operation_id="createKey", status_code=201, response_model=Key, responses=CONFLICT)
def create(given: KeyInput, call: Caller) -> Response:
    """Make a key. `key` is in this answer alone, and in none to a repeated request."""
    with call.transaction() as session:
        row, plain = api_keys.make_key(session, call.org_id, given, within=call.principal.role)
        return call.answer(session, _shown(row, plain), 201, kept=_shown(row))


@router.get("/v1/key", operation_id="listKeys", response_model=schemas.Results)
def listed(call: Caller, limit: Limit = 25, next: Next = None) -> Response:  # noqa: A002
    """List keys, newest first, those that were revoked among them."""
    with call.read() as session:
        found = api_keys.list_keys(session, call.org_id, limit=limit, next=next or None)
        return json_answer(views.page(found, _shown))


@router.get("/v1/key/{key_id}", operation_id="getKey", response_model=Key, responses=MISSING)
def get(key_id: UUID, call: Caller) -> Response:
    """Get what is known of a key."""
    with call.read() as session:
        return json_answer(_shown(api_keys.get_key(session, call.org_id, key_id)))


@router.post("/v1/key/{key_id}:revoke", operation_id="revokeKey", response_model=Key, responses=MISSING)
def revoke(key_id: UUID, call: Caller) -> Response:
    """Shut a key out: from the next request on, and what it listens to within five seconds."""
    with call.transaction() as session:
        return call.answer(session, _shown(api_keys.revoke_key(session, call.org_id, key_id)))


@router.post(
    "/v1/key/{key_id}:rotate",
    operation_id="rotateKey",
    status_code=201,
    response_model=Key,
    responses=MISSING | CONFLICT,
)
def rotate(key_id: UUID, call: Caller, given: Annotated[KeyRotation | None, Body()] = None) -> Response:
    """Make a key in place of another, which is shut out at once or goes on for `overlap_seconds`."""
    with call.transaction() as session:
        row, plain = api_keys.rotate_key(
            session, call.org_id, key_id, given or KeyRotation(), within=call.principal.role
        )
        return call.answer(session, _shown(row, plain), 201, kept=_shown(row))


def _shown(row: ApiKey, plain: str | None = None) -> dict[str, Any]:
    """See `Key`."""
    return Key(
        id_=row.id,
        name=row.name,
        role=row.role,
        prefix=row.prefix,
        key=plain,
        created_at=row.created_at,
        last_used_at=row.last_used_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        networks=row.networks,
    ).sent()
