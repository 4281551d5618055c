"""Whom a campaign is for, as its author writes it: segments, narrowed by filters (docs/contract/campaigns-api.md).

Segments are targets, by id or name. Filters alone make a target of the campaign's own; beside segments they narrow each
of them, by a target of the campaign's own for each: an entity must be in the segment, as it is by then, and pass the
filters. A campaign's own targets go with it, and no list shows them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID, uuid4

from pydantic import Field, StringConstraints
from sqlalchemy import delete, select

from engine.campaigns.references import resolved
from engine.filters.plain import tree_of
from engine.filters.schema_names import SchemaName  # noqa: TC001 - pydantic reads it
from engine.filters.targets import audience_page, count_any
from engine.insight.estimate import SAMPLE
from engine.kernel import listing
from engine.kernel.inputs import (
    Input,
    Invalid,
)
from state.change import clock_of
from state.sets import among
from state.tables import Campaign, Entity, Target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

__all__ = [
    "AudienceInput",
    "audience_sample",
    "audience_size",
    "resolve_audience",
    "segments_of",
    "write_audience",
]

_Word = Annotated[str, StringConstraints(min_length=1, max_length=150)]


class AudienceInput(Input):
    """Whom it is for."""

    segments: Annotated[list[_Word], Field(max_length=100)] = Field(default_factory=list)
    """Targets, by id or name. An entity that several let through is one recipient."""
    filters: dict[str, Any] = Field(default_factory=dict)
    """As `engine.filters.plain` reads them."""
    entity_schema: SchemaName = "contact"
    """Of those that filters alone select."""


def write_audience(session: Session, campaign: Campaign, given: AudienceInput) -> None:
    """Let this be the campaign's audience. The caller holds the campaign, which has no job in progress.

    Raises:
        Invalid: a segment does not exist, or a filter cannot be used.
    """
    campaign.audience = given.model_dump(exclude_defaults=True)
    _resolve(session, campaign, given, strict=False)


def resolve_audience(session: Session, campaign: Campaign) -> None:
    """Find the segments that did not exist when the audience was written.

    Raises:
        Invalid: one of them still does not.
    """
    if campaign.audience is not None:
        given = AudienceInput.model_validate(campaign.audience)
        if len(campaign.target_ids) < len(set(given.segments)):
            _resolve(session, campaign, given, strict=True)


def segments_of(session: Session, campaigns: list[Campaign]) -> dict[UUID, list[str]]:
    """The segments of each campaign: as they were written, and else by id. One statement."""
    wanted = {UUID(target_id) for campaign in campaigns for target_id in campaign.target_ids}
    own = set(
        session.scalars(
            select(Target.id).where(among(session, Target.id, wanted), Target.campaign_id.is_not(None))
        )
    )
    return {
        campaign.id: (
            list(campaign.audience.get("segments", ()))
            if campaign.audience is not None
            else [target_id for target_id in campaign.target_ids if UUID(target_id) not in own]
        )
        for campaign in campaigns
    }


def audience_size(session: Session, campaign: Campaign) -> int:
    """How many are in the audience now. One statement, which tries the filters on every entity.

    Raises:
        FilterError: stored filters cannot be used.
    """
    return count_any(session, campaign.org_id, _targets(session, campaign), clock_of(session).now())


def audience_sample(session: Session, campaign: Campaign) -> list[dict[str, Any]]:
    """The attributes of the first of each target's audience. Walks the index on (org_id, schema, id)."""
    found: list[dict[str, Any]] = []
    for target in _targets(session, campaign):
        page = audience_page(
            session, campaign.org_id, target, after=None, limit=SAMPLE, now=clock_of(session).now()
        ).subquery("page")
        found += session.scalars(select(Entity.attributes).where(Entity.id.in_(select(page.c.id))))
    return found


def _targets(session: Session, campaign: Campaign) -> Sequence[Target]:
    wanted = [UUID(target_id) for target_id in campaign.target_ids]
    return session.scalars(
        select(Target).where(Target.org_id == campaign.org_id, among(session, Target.id, wanted))
    ).all()


def _resolve(session: Session, campaign: Campaign, given: AudienceInput, *, strict: bool) -> None:
    try:
        tree = tree_of(given.filters)
    except Invalid as error:
        raise Invalid(".".join(filter(None, ("audience.filters", error.field))), error.message) from None
    segments = resolved(
        session,
        Target,
        campaign.org_id,
        given.segments,
        "audience.segments[{}]",
        Target.campaign_id.is_(None),
        strict=strict,
    )
    found = list({target.id: target for target in segments if target is not None}.values())
    own = {
        target.base_id: target
        for target in session.scalars(
            select(Target).where(Target.org_id == campaign.org_id, Target.campaign_id == campaign.id)
        )
    }
    ids: list[UUID] = []
    if tree is None:
        ids = [target.id for target in found]
    elif given.segments:
        ids = [
            _own(session, campaign, own.pop(target.id, None), tree, target.entity_schema, target)
            for target in found
        ]
    else:
        ids = [_own(session, campaign, own.pop(None, None), tree, given.entity_schema, None)]
    if own:
        gone = [target.id for target in own.values()]
        session.execute(delete(Target).where(Target.org_id == campaign.org_id, Target.id.in_(gone)))
    campaign.target_ids = [str(target_id) for target_id in ids]


def _own(
    session: Session,
    campaign: Campaign,
    target: Target | None,
    tree: dict[str, Any],
    schema: str,
    base: Target | None,
) -> UUID:
    """The campaign's own target of this tree, made or changed; its id."""
    name = campaign.name if base is None else f"{base.name}, {campaign.name}"
    if target is None:
        now = clock_of(session).now()
        target = Target(
            id=uuid4(),
            org_id=campaign.org_id,
            campaign_id=campaign.id,
            base_id=None if base is None else base.id,
            created_at=now,
            updated_at=now,
            name=name[:150],
            entity_schema=schema,
            entity_filters=tree,
        )
        session.add(target)
    else:
        target.entity_schema, target.entity_filters = schema, tree
        listing.stamp(session, target)
    session.flush()
    return target.id
