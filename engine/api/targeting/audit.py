"""`GET /v1/audit` (docs/audit.md): who changed what."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from engine import audit
from engine.api.answers import json_answer
from engine.api.call import Caller
from engine.api.targeting import schemas, views
from engine.api.targeting.errors import AdminReadRoute
from engine.api.targeting.parameters import COMMON, Limit, Next

__all__ = ["router"]

router = APIRouter(route_class=AdminReadRoute, tags=["Audit"], responses=COMMON)


@router.get("/v1/audit", operation_id="listAuditRecords", response_model=schemas.Results)
def listed(
    call: Caller,
    limit: Limit = 25,
    next: Next = None,  # noqa: A002
    author: Annotated[str | None, Query(description="Its records alone: `key:…`, `jwt:…`, `cli:…`")] = None,
    operation: Annotated[str | None, Query(description="Records of this operation alone")] = None,
) -> Response:
    """List the audit log, newest first. For administrators."""
    with call.read() as session:
        found = audit.list_records(
            session, call.org_id, limit=limit, next=next or None, author=author, operation=operation
        )
        return json_answer(views.page(found, audit.record_json))
