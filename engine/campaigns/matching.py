"""Which targets and campaigns are given entities part of, and how a target reads as a query
(docs/contract/targeting.md).

A reference is an entity's id and its schema. It counts for targets of that schema, and only if an entity with
that id and schema exists; one reference that matches is enough. No status is asked for: whether a campaign
runs is the caller's question.

The references are read once and every target's predicate is tried on each of them in the same pass: a hundred
targets and a thousand references are one statement. Only filters with very many values are spread over more.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

import structlog
from sqlalchemy import and_, case, func, literal, or_, select

from engine.filters.calendar import organization_time
from engine.filters.filters import FilterError, Subgroup, conditions_of, parse_filters
from engine.filters.lucene import lucene
from engine.filters.predicate import predicate
from engine.filters.targets import bases
from state.change import clock_of
from state.sets import among
from state.tables import Campaign, Entity, Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sqlalchemy.orm import Session

    from engine.filters.filters import Group

__all__ = ["EntityRef", "TargetQuery", "match_campaigns", "match_targets", "matching", "target_queries"]

log = structlog.get_logger(__name__)

#: Targets that one statement tries, and values that their filters may hold together: well within what both
#: databases take as columns and as bound parameters.
_TARGETS = 100
_VALUES = 5_000


class EntityRef(NamedTuple):
    """An entity as a caller names it."""

    entity_id: UUID
    entity_schema: str


@dataclass(frozen=True, slots=True)
class TargetQuery:
    """A target as a Lucene query; without one, why there is none."""

    target_id: UUID
    query: str | None
    error: str | None = None


def match_targets(
    session: Session, org_id: UUID, refs: Sequence[EntityRef], target_ids: Sequence[UUID]
) -> list[Target]:
    """Those of the targets that one of the entities is in, in the order given. Unknown ids are left out."""
    known = _targets(session, org_id, target_ids)
    matched = matching(session, org_id, refs, known.values())
    return [known[target_id] for target_id in dict.fromkeys(target_ids) if target_id in matched]


def match_campaigns(
    session: Session, org_id: UUID, refs: Sequence[EntityRef], campaign_ids: Sequence[UUID]
) -> list[Campaign]:
    """Those of the campaigns that have one of the entities in their audience, in the order given, whatever
    their status. Unknown ids are left out.
    """
    campaigns = {
        campaign.id: campaign
        for campaign in session.scalars(
            select(Campaign).where(Campaign.org_id == org_id, among(session, Campaign.id, campaign_ids))
        )
    }
    wanted = {UUID(target_id) for campaign in campaigns.values() for target_id in campaign.target_ids}
    matched = matching(session, org_id, refs, _targets(session, org_id, wanted).values())
    return [
        campaigns[campaign_id]
        for campaign_id in dict.fromkeys(campaign_ids)
        if campaign_id in campaigns and not matched.isdisjoint(map(UUID, campaigns[campaign_id].target_ids))
    ]


def target_queries(session: Session, org_id: UUID, target_ids: Sequence[UUID]) -> list[TargetQuery]:
    """Each target as a query, in the order given; what is wrong with one is said of it and hinders no other."""
    known = _targets(session, org_id, target_ids)
    narrowed = bases(session, org_id, known.values())
    return [_query(target_id, known.get(target_id), narrowed) for target_id in target_ids]


def matching(
    session: Session, org_id: UUID, refs: Iterable[EntityRef], targets: Iterable[Target]
) -> set[UUID]:
    """Ids of the targets that one of the entities is in. One statement for up to 100 usual targets.

    A target whose stored filters cannot be used is in no answer, and in the log.
    """
    ids: dict[str, set[UUID]] = defaultdict(set)
    for ref in refs:
        ids[ref.entity_schema].add(ref.entity_id)
    matched: set[UUID] = set()
    asked = [target for target in targets if target.entity_schema in ids]
    for chunk in _chunks(asked, bases(session, org_id, asked)):
        matched |= _tried(session, org_id, ids, chunk)
    return matched


def _tried(
    session: Session, org_id: UUID, ids: dict[str, set[UUID]], chunk: Sequence[tuple[Target, list[Group]]]
) -> set[UUID]:
    """One pass over the entities: a column for each target. By the entities' primary key."""
    now = clock_of(session).now()
    tests = []
    for target, trees in chunk:
        ours = Entity.schema == target.entity_schema
        asked = (condition for tree in trees for condition in conditions_of(tree))
        local = organization_time(session, org_id, now, asked)
        passes = and_(ours, *(predicate(session, tree, local) for tree in trees))
        tests.append(func.coalesce(func.max(case((passes, literal(1)), else_=literal(0))), 0))
    schemas = sorted({target.entity_schema for target, _ in chunk})
    named = [
        and_(Entity.schema == schema, among(session, Entity.id, sorted(ids[schema]))) for schema in schemas
    ]
    found = session.execute(select(*tests).where(Entity.org_id == org_id, or_(*named))).one()
    return {target.id for (target, _), hit in zip(chunk, found, strict=True) if hit}


def _chunks(
    targets: Iterable[Target], narrowed: Mapping[UUID, Target]
) -> Iterator[list[tuple[Target, list[Group]]]]:
    chunk: list[tuple[Target, list[Group]]] = []
    weight = 0
    for target in targets:
        try:
            trees = _trees(target, narrowed)
        except FilterError as error:
            log.warning("target.unusable", target_id=str(target.id), reason=str(error))
            continue
        its = 1 + sum(map(_weight, trees))
        if chunk and (len(chunk) == _TARGETS or weight + its > _VALUES):
            yield chunk
            chunk, weight = [], 0
        chunk.append((target, trees))
        weight += its
    if chunk:
        yield chunk


def _trees(target: Target, narrowed: Mapping[UUID, Target]) -> list[Group]:
    """The filters that all must let an entity through: its own, and those of the target that it narrows.

    Raises:
        FilterError: they cannot be used, or that target is gone.
    """
    filters = [target.entity_filters]
    if target.base_id is not None:
        base = narrowed.get(target.base_id)
        if base is None or base.entity_schema != target.entity_schema:
            raise FilterError(
                "base_id", f"target {target.base_id}, which it narrows, does not exist any more"
            )
        filters.append(base.entity_filters)
    return [tree for tree in map(parse_filters, filters) if tree is not None]


def _weight(tree: Group | Subgroup) -> int:
    """How many values a tree holds, counting each condition as some."""
    return sum(_weight(item) if isinstance(item, Subgroup) else len(item.literals) + 4 for item in tree.items)


def _targets(session: Session, org_id: UUID, target_ids: Iterable[UUID]) -> dict[UUID, Target]:
    wanted = list(target_ids)
    if not wanted:
        return {}
    found = session.scalars(select(Target).where(Target.org_id == org_id, among(session, Target.id, wanted)))
    return {target.id: target for target in found}


def _query(target_id: UUID, target: Target | None, narrowed: Mapping[UUID, Target]) -> TargetQuery:
    if target is None:
        return TargetQuery(target_id, None, f"target {target_id} does not exist")
    try:
        trees: list[Group | None] = [*_trees(target, narrowed)] or [None]
        return TargetQuery(target_id, " AND ".join(lucene(tree, target.entity_schema) for tree in trees))
    except FilterError as error:
        return TargetQuery(target_id, None, str(error))
