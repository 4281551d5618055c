"""`targets:bulk` and `targets:create-customer` (docs/contract/enrolled-targets.md)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import Field, TypeAdapter
from starlette.responses import Response

from engine.api.call import Caller
from engine.api.umanize import schemas
from engine.api.umanize.errors import UmanizeRoute
from engine.api.umanize.schemas import COMMON, MISSING
from engine.enrolled import enrolling
from engine.enrolled.customers import CustomerInput, create_customer
from engine.enrolled.enrolling import MOST, Wish

__all__ = ["ROUTERS"]


class BulkRoute(UmanizeRoute):
    """Its bodies are as long as a hundred thousand items are."""

    longest = 32 * 1024 * 1024
    most_values = 20 * MOST


@dataclass(slots=True)
class _Wishes:
    items: Annotated[list[Wish], Field(max_length=MOST)]


#: Reads a body without keeping more of an item than what is needed of it.
WISHES: TypeAdapter[_Wishes] = TypeAdapter(_Wishes)

_BULK = {
    "type": "object",
    "title": "UmanizeBulk",
    "required": ["items"],
    "properties": {
        "items": {
            "type": "array",
            "maxItems": MOST,
            "items": schemas.UmanizeBulkItem.model_json_schema(),
        }
    },
}

_shape: dict[str, Any] = {"tags": ["campaign-targets"], "responses": COMMON}
bulk = APIRouter(route_class=BulkRoute, **_shape)
single = APIRouter(route_class=UmanizeRoute, **_shape)

ROUTERS = (bulk, single)


async def _body(request: Request) -> bytes:
    return await request.body()


@bulk.post(
    "/campaigns/{campaign_id}/targets:bulk",
    operation_id="enrollTargetsBulk",
    response_model=schemas.UmanizeBulkResult,
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": _BULK}}}},
)
def enrol(campaign_id: UUID, body: Annotated[bytes, Depends(_body)], call: Caller) -> Response:
    """Enrol up to 100,000 existing customers. Who is a target already is skipped, who was deleted comes back."""
    items = WISHES.validate_json(body).items
    del body
    with call.transaction() as session:
        result = enrolling.enrol_customers(session, call.org_id, campaign_id, items)
        answered = schemas.UmanizeBulkResult(
            total=result.total,
            created=result.created,
            skipped=result.skipped,
            errors=[schemas.UmanizeBulkError(**asdict(one)) for one in result.errors],
        )
        return call.answer(session, answered.sent())


@single.post(
    "/campaigns/{campaign_id}/targets:create-customer",
    operation_id="createCustomerAndEnroll",
    response_model=schemas.UmanizeEnrolled,
    responses=MISSING,
)
def create(campaign_id: UUID, given: CustomerInput, call: Caller) -> Response:
    """Create a customer and enrol them, unless somebody with their e-mail address or phone number is enrolled. A
    campaign that runs contacts them.
    """
    with call.transaction() as session:
        result = create_customer(session, call.org_id, campaign_id, given)
        answered = schemas.UmanizeEnrolled(
            created=result.created, skipped=not result.created, reason=result.reason
        )
        return call.answer(session, answered.sent())
