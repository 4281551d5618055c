"""`matchCampaigns`, `matchTargets` and `getTargetQueries` (docs/contract/targeting.md, operations 6, 7 and 8)."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import AfterValidator, Field
from starlette.responses import Response

from engine.api.answers import json_answer
from engine.api.call import Caller
from engine.api.targeting import schemas, views
from engine.api.targeting.parameters import COMMON
from engine.api.targeting.routes import ReadingRoute
from engine.campaigns import matching
from engine.kernel.inputs import Input

__all__ = ["router"]

router = APIRouter(route_class=ReadingRoute, responses=COMMON)

_MOST = 100


def _distinct(ids: list[UUID]) -> list[UUID]:
    if len(set(ids)) < len(ids):
        raise ValueError("must not hold an id twice")
    return ids


_Ids = Annotated[
    list[UUID], Field(min_length=1, json_schema_extra={"uniqueItems": True}), AfterValidator(_distinct)
]
_FewIds = Annotated[_Ids, Field(max_length=_MOST)]


class EntityRef(Input):
    """An entity by id and schema."""

    entity_id: UUID
    entity_schema: str

    def ref(self) -> matching.EntityRef:
        """As the engine takes it."""
        return matching.EntityRef(self.entity_id, self.entity_schema)


class MatchCampaignParams(Input):
    """Which campaigns have one of these entities in their audience?"""

    entity_refs: list[EntityRef]
    campaign_ids: _FewIds


class MatchTargetParams(Input):
    """Which targets is one of these entities in?"""

    entity_refs: list[EntityRef]
    target_ids: _FewIds


class GetTargetQueriesParams(Input):
    """Which targets are to be read as queries?"""

    target_ids: _Ids


class CampaignMatch(schemas.Answer):
    """One campaign that matches."""

    campaign: schemas.Campaign


class CampaignMatches(schemas.Answer):
    """The campaigns that match, in the order in which they were named."""

    hits: int
    results: list[CampaignMatch]


class TargetMatch(schemas.Answer):
    """One target that matches."""

    target: schemas.Target


class TargetMatches(schemas.Answer):
    """The targets that match, in the order in which they were named."""

    hits: int
    results: list[TargetMatch]


class TargetQueryResult(schemas.Answer):
    """A target as Lucene text; null, and why, where it cannot be one."""

    target_id: UUID
    query: str | None
    error: str | None = None


class TargetQueries(schemas.Answer):
    """One result for each id, in their order."""

    results: list[TargetQueryResult]


@router.post(
    "/v1/campaign:match",
    operation_id="matchCampaigns",
    response_model=CampaignMatches,
    tags=["Campaign"],
)
def match_campaigns(given: MatchCampaignParams, call: Caller) -> Response:
    """Find the campaigns, of any status, whose audience holds at least one of the entities."""
    refs = [ref.ref() for ref in given.entity_refs]
    with call.read() as session:
        found = matching.match_campaigns(session, call.org_id, refs, given.campaign_ids)
        return json_answer(_hits([{"campaign": views.campaign(campaign)} for campaign in found]))


@router.post("/v1/target:match", operation_id="matchTargets", response_model=TargetMatches, tags=["Target"])
def match_targets(given: MatchTargetParams, call: Caller) -> Response:
    """Find the targets that at least one of the entities is in."""
    refs = [ref.ref() for ref in given.entity_refs]
    with call.read() as session:
        found = matching.match_targets(session, call.org_id, refs, given.target_ids)
        return json_answer(_hits([{"target": views.target(target)} for target in found]))


@router.post(
    "/v1/target/queries", operation_id="getTargetQueries", response_model=TargetQueries, tags=["Target"]
)
def get_target_queries(given: GetTargetQueriesParams, call: Caller) -> Response:
    """Read targets as Lucene queries. What is wrong with one is said beside it; the request succeeds."""
    with call.read() as session:
        found = matching.target_queries(session, call.org_id, given.target_ids)
    return json_answer({"results": [_query(one) for one in found]})


def _hits(results: list[dict[str, Any]]) -> dict[str, Any]:
    return {"hits": len(results), "results": results}


def _query(one: matching.TargetQuery) -> dict[str, Any]:
    """`query` is one of the two things here that may be null (docs/contract/targeting.md)."""
    error = {} if one.error is None else {"error": one.error}
    return {"target_id": str(one.target_id), "query": one.query, **error}
