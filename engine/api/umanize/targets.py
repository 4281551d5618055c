"""`/campaigns/{campaign_id}/targets…` (docs/contract/enrolled-targets.md): list, delete, restore, change the stage."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from engine.api.answers import NO_CONTENT, json_answer
from engine.api.call import Caller
from engine.api.umanize import schemas, views
from engine.api.umanize.errors import UmanizeRoute
from engine.api.umanize.schemas import COMMON
from engine.audit import note
from engine.enrolled import listing, removing, searching, targets
from engine.enrolled.orders import SORTABLE
from engine.enrolled.searching import Search

__all__ = ["JunkParameters", "router"]

router = APIRouter(route_class=UmanizeRoute, tags=["campaign-targets"], responses=COMMON)

_TARGETS = "/campaigns/{campaign_id}/targets"
_TARGET = _TARGETS + "/{target_id}"


def _junk(
    obj_id: UUID | None = None,
    agent_id: UUID | None = None,
    customer_id: UUID | None = None,
    knowledge_base_id: UUID | None = None,
    id: UUID | None = None,  # noqa: A002 - the word of the contract
) -> None:
    """Parameters that the contract declares and that mean nothing: they must be UUIDs, and are passed over."""


JunkParameters = Depends(_junk)


@router.get(_TARGETS, operation_id="listCampaignTargets", response_model=schemas.UmanizeTargets)
def listed(
    campaign_id: UUID,
    call: Caller,
    stage: str | None = None,
    ai_label: str | None = None,
    action_required: Annotated[
        str | None, Query(pattern="^(follow_up|callback|escalation|missed_goal|negative_sentiment)$")
    ] = None,
    assigned_agent_id: UUID | None = None,
    include_deleted: bool = False,
    only_deleted: bool = False,
    limit: Annotated[int, Query(ge=1, le=listing.MAX_LIMIT)] = 10,
    offset: Annotated[
        int,
        Query(ge=0, le=listing.MAX_OFFSET, description="Beyond, go on with `meta.next` as `cursor`."),
    ] = 0,
    q: Annotated[str | None, Query(description="In name, surname, email, phone or customer_id.")] = None,
    sort_field: Annotated[str | None, Query(description=", ".join(SORTABLE))] = None,
    sort_dir: Literal["asc", "desc"] = "desc",
    include_aggregations: bool = False,
    date_from: Annotated[str | None, Query(description="Enrolled on this day or instant, or later.")] = None,
    date_to: Annotated[str | None, Query(description="Enrolled on this day or instant, or earlier.")] = None,
    cursor: Annotated[str | None, Query(description="`meta.next` of the page before.")] = None,
) -> Response:
    """List the campaign's targets with their customers, latest first."""
    begin = searching.instant("date_from", date_from)
    end = searching.instant("date_to", date_to, end=True)
    search = Search(
        stage=stage,
        ai_label=ai_label,
        action_required=action_required,
        assigned_agent_id=assigned_agent_id,
        include_deleted=include_deleted,
        only_deleted=only_deleted,
        q=q,
        date_from=begin,
        date_to=end,
    )
    field = sort_field or listing.DEFAULT_SORT
    with call.read() as session:
        page = listing.list_targets(
            session,
            call.org_id,
            campaign_id,
            search,
            sort=field,
            direction=sort_dir,
            limit=limit,
            offset=offset,
            cursor=cursor,
        )
        counts: dict[str, Any] | None = None
        if include_aggregations:
            counts = searching.aggregate(session, call.org_id, campaign_id, search)
        order = schemas.UmanizeSort(field=field, direction=sort_dir)
        answer = schemas.UmanizeTargets(
            data=[views.target(found) for found in page.results],
            meta=schemas.UmanizeMeta(
                total=page.total, limit=limit, offset=offset, sort=order, next=page.next
            ),
            query=_understood(search, order, begin, searching.instant("date_to", date_to)),
            aggregations=None if counts is None else schemas.UmanizeAggregations(**counts),
        )
    return json_answer(answer.sent())


def _understood(
    search: Search, order: schemas.UmanizeSort, begin: datetime | None, end: datetime | None
) -> schemas.UmanizeQuery:
    given: dict[str, Any] = {
        "stage": search.stage,
        "ai_label": search.ai_label,
        "action_required": search.action_required,
        "assigned_agent_id": search.assigned_agent_id,
        "include_deleted": search.include_deleted or None,
        "only_deleted": search.only_deleted or None,
    }
    filters = {name: value for name, value in given.items() if value is not None}
    return schemas.UmanizeQuery(q=search.q, filters=filters or None, date_from=begin, date_to=end, sort=order)


@router.delete(_TARGET, operation_id="deleteCampaignTarget", status_code=NO_CONTENT)
def delete(campaign_id: UUID, target_id: UUID, call: Caller, purge: bool = False) -> Response:
    """Delete a target softly, to be restored, or (`purge`) for good."""
    remove = removing.purge_target if purge else removing.delete_target
    with call.transaction() as session:
        remove(session, call.org_id, campaign_id, target_id)
        note(session, "recipient", "purge" if purge else "delete", target_id, campaign_id=str(campaign_id))
        return call.answer(session, None, NO_CONTENT)


@router.post(_TARGET + "/restore", operation_id="restoreCampaignTarget", response_model=schemas.UmanizeTarget)
def restore(campaign_id: UUID, target_id: UUID, call: Caller) -> Response:
    """Undo a soft delete."""
    with call.transaction() as session:
        found = removing.restore_target(session, call.org_id, campaign_id, target_id)
        note(session, "recipient", "restore", target_id, campaign_id=str(campaign_id))
        return call.answer(session, views.target(found).sent())


@router.patch(
    _TARGET + "/stage",
    operation_id="updateCampaignTargetStage",
    response_model=schemas.UmanizeTarget,
    dependencies=[JunkParameters],
)
def change_stage(campaign_id: UUID, target_id: UUID, given: schemas.UmanizeStage, call: Caller) -> Response:
    """Move a target to any stage; the vocabulary is yours."""
    with call.transaction() as session:
        found = targets.change_stage(session, call.org_id, campaign_id, target_id, given.stage)
        note(session, "recipient", "stage", target_id, campaign_id=str(campaign_id), stage=given.stage)
        return call.answer(session, views.target(found).sent())
