"""`/api/v1/campaigns`: list, get, create, change, delete (docs/contract/campaigns-api.md)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from engine.api.answers import json_answer
from engine.api.call import Call, Caller
from engine.api.campaigns import showing, views
from engine.api.campaigns.errors import CampaignsRoute
from engine.api.campaigns.parameters import campaign_id_of
from engine.api.campaigns.schemas import CampaignBody, CampaignChangeBody
from engine.api.campaigns.unchanged import changed_values
from engine.campaigns import authoring, campaigns, finding, lifecycle
from engine.delivery.campaign_moves import locked
from engine.kernel.inputs import Invalid
from engine.kernel.rule_violations import RuleCode, RuleViolation
from engine.kernel.suggestions import did_you_mean
from state.transitions import CampaignStatus

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from state.tables import Campaign

__all__ = ["router"]

router = APIRouter(prefix="/api/v1", route_class=CampaignsRoute, tags=["Campaigns"])

#: Words of the dialect → what is sorted by.
_SORTS = {
    "createdAt": "created_at",
    "updatedAt": "updated_at",
    "name": "name",
    "status": "status",
    "type": "type",
    "budget": "budget",
    "startDate": "starts_at",
    "endDate": "ends_at",
}
_MAX_SEARCH = 200
_DELETABLE = (CampaignStatus.DRAFT, CampaignStatus.CANCELLED)


@router.get("/campaigns", operation_id="campaignsList")
def listed(
    call: Caller,
    page: Annotated[str, Query(description="From 1.")] = "1",
    limit: Annotated[str, Query(description="Campaigns a page, 1..100.")] = "20",
    status: Annotated[
        str | None, Query(description="draft, active, paused, completed or cancelled; several by comma.")
    ] = None,
    type: Annotated[  # noqa: A002 - the word of the contract
        str | None, Query(description="message, invitation, data_collection, engagement or custom.")
    ] = None,
    sort: Annotated[str, Query(description="A field; `-` in front of it: descending.")] = "-createdAt",
    search: Annotated[str | None, Query(description="Text in name or description.")] = None,
) -> Response:
    """List campaigns."""
    number, size = _integer("page", page), _integer("limit", limit)
    descending, field = sort.startswith("-"), sort.removeprefix("-")
    column = _SORTS.get(field)
    if column is None:
        raise Invalid("sort", f"{field[:64]!r} is none of {', '.join(_SORTS)}{did_you_mean(field, _SORTS)}")
    if search is not None and len(search) > _MAX_SEARCH:
        raise Invalid("search", f"must have at most {_MAX_SEARCH} characters")
    kind = _word("type", type, authoring.TYPES) if type else None
    words = [_word("status", word, views.STATES_OF) for word in (status or "").split(",") if word]
    with call.read() as session:
        found = finding.find_campaigns(
            session,
            call.org_id,
            page=number,
            limit=size,
            statuses=[state for word in words for state in views.STATES_OF[word]],
            type=kind,
            search=search or None,
            sort=column,
            descending=descending,
        )
        shown = showing.summaries(session, call, found.rows)
    pagination = {
        "page": number,
        "limit": size,
        "total": found.total,
        "pages": math.ceil(found.total / size),
    }
    return json_answer(views.ok({"campaigns": shown, "pagination": pagination}))


@router.get("/campaigns/{campaign_id}", operation_id="campaignsGet")
def get(campaign_id: str, call: Caller) -> Response:
    """Get a campaign."""
    with call.read() as session:
        row = campaigns.get_campaign(session, call.org_id, campaign_id_of(campaign_id))
        return json_answer(views.ok(showing.detail(session, call, row)))


@router.post("/campaigns", operation_id="campaignsCreate", status_code=201)
def create(given: CampaignBody, call: Caller) -> Response:
    """Create a campaign, as a draft."""
    with call.transaction() as session:
        row = authoring.write_campaign(session, call.org_id, given.plan(), by=call.principal.name)
        made = {"id": str(row.id), "name": row.name, "status": views.status(row)}
        return call.answer(session, views.ok({**made, "message": "Campaign created successfully"}), 201)


@router.put("/campaigns/{campaign_id}", operation_id="campaignsUpdate")
def change(campaign_id: str, given: CampaignChangeBody, call: Caller) -> Response:
    """Change a campaign; `status` moves it as the other operations do. What is sent as it was shown changes nothing."""
    key = campaign_id_of(campaign_id)
    wanted = given.status if "status" in given.model_fields_set else None
    with call.transaction() as session:
        row = locked(session, call.org_id, key, activates=wanted == "active")
        moves = wanted is not None and wanted != views.status(row)
        # A request that pauses and edits means the edit for the paused campaign.
        if moves and wanted == "paused":
            _move(session, call, row, wanted)
            moves = False
        values = changed_values(given, showing.detail(session, call, row, counted=False))
        row = authoring.change_campaign(session, call.org_id, key, given.change(values))
        if moves and wanted is not None:
            _move(session, call, row, wanted)
        return call.answer(session, views.ok(showing.detail(session, call, row)))


@router.delete("/campaigns/{campaign_id}", operation_id="campaignsDelete")
def delete(campaign_id: str, call: Caller) -> Response:
    """Delete a campaign that is a draft, or cancelled."""
    key = campaign_id_of(campaign_id)
    with call.transaction() as session:
        row = locked(session, call.org_id, key)
        if row.status not in _DELETABLE:
            raise RuleViolation(
                RuleCode.CAMPAIGN_HAS_UNEXPECTED_STATUS,
                f"campaign {key} is {views.status(row)}; only drafts and cancelled campaigns are deleted",
            )
        campaigns.delete_campaign(session, call.org_id, key)
        return call.answer(session, views.ok({"message": "Campaign deleted successfully"}))


def _move(session: Session, call: Call, row: Campaign, wanted: str) -> None:
    """Let the campaign have the status that was asked for, along the transition table."""
    org_id, window = call.org_id, call.runtime.settings.window
    if wanted == "active" and row.status == CampaignStatus.DRAFT:
        lifecycle.open_without_run(session, org_id, row.id)
    elif wanted == "active":
        lifecycle.resume(session, org_id, row.id, window=window)
    elif wanted == "paused":
        lifecycle.pause(session, org_id, row.id, by=call.principal.name)
    elif wanted == "completed":
        lifecycle.complete(session, org_id, row.id)
    elif wanted == "cancelled":
        lifecycle.cancel(session, org_id, row.id)
    else:
        raise RuleViolation(
            RuleCode.CAMPAIGN_HAS_UNEXPECTED_STATUS,
            f"campaign {row.id} is {views.status(row)} and cannot become {wanted}",
        )


def _integer(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise Invalid(name, "must be a whole number") from None


def _word(name: str, word: str, known: Any) -> str:
    if word not in known:
        raise Invalid(name, f"{word[:64]!r} is none of {', '.join(known)}{did_you_mean(word, known)}")
    return word
