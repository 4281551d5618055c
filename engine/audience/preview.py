"""What a target would do, shown before anybody is written to: how many are in it, and which values it cannot read.

A condition reads the values of its attribute as numbers, dates or yes and no. What reads as nothing of that kind
matches neither way (engine.filters.comparisons), so who has such a value may be missing: the preview counts them, over
all entities of the schema, and names the attributes that none of them has. Places that cannot be read
(engine.limits.zones) are counted among the first 10,000 of the audience; the organization's time zone is used for them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, select

from engine.audience.attribute_values import attribute_values
from engine.filters.calendar import organization_time
from engine.filters.filters import conditions_of, parse_filters
from engine.filters.predicate import is_given, unreadable
from engine.filters.schema_names import check_schema
from engine.filters.targets import audience, audience_page, count_any, has_filters
from engine.kernel.inputs import Invalid
from engine.kernel.suggestions import did_you_mean
from engine.limits.zones import place_is_unreadable
from state.sets import among
from state.tables import Entity, Target

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

__all__ = ["PreviewNote", "SampledPerson", "TargetPreview", "preview_audience", "preview_target"]

#: Of the audience, whose places are looked at.
_PLACES = 10_000
_AT_ONCE = 1_000
#: Names that are shown.
_SAMPLES = 10


@dataclass(frozen=True, slots=True)
class PreviewNote:
    """Something to know before a campaign for the target is activated."""

    message: str
    """A sentence: `age: 12 values are no numbers`."""
    count: int
    """How many entities it is about."""
    key: str | None = None
    """The attribute."""


@dataclass(frozen=True, slots=True)
class SampledPerson:
    """Somebody of an audience."""

    id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class TargetPreview:
    """Whom a campaign for a target would be for, and what is odd about their data."""

    count: int
    notes: list[PreviewNote]
    samples: tuple[SampledPerson, ...] = ()
    """A few of them; of `preview_audience` alone."""


def preview_audience(
    session: Session,
    org_id: UUID,
    now: datetime,
    *,
    schema: str = "",
    filters: dict[str, Any] | None = None,
    target_ids: Sequence[UUID] = (),
) -> TargetPreview:
    """The same of conditions that no target keeps yet, or of all who are in any of some targets; and a few of them.

    Raises:
        Invalid: schema or filters cannot be used, or a target does not exist.
    """
    if not target_ids:
        target = Target(org_id=org_id, name="", entity_schema=check_schema(schema), entity_filters=filters)
        seen, targets = preview_target(session, org_id, target, now), [target]
    else:
        targets = list(
            session.scalars(
                select(Target).where(Target.org_id == org_id, among(session, Target.id, target_ids))
            )
        )
        if len(targets) < len(set(target_ids)):
            raise Invalid("target_ids", "one of the targets does not exist any more")
        seen = TargetPreview(count_any(session, org_id, targets, now), [])
    samples: dict[UUID, SampledPerson] = {}
    for one in filter(has_filters, targets):
        page = audience_page(session, org_id, one, after=None, limit=_SAMPLES, now=now)
        for entity_id, _, title in session.execute(page):
            samples.setdefault(entity_id, SampledPerson(entity_id, title or str(entity_id)))
    return replace(seen, samples=tuple(samples.values())[:_SAMPLES])


def preview_target(session: Session, org_id: UUID, target: Target, now: datetime) -> TargetPreview:
    """Two statements, the first over all entities of the schema; a third where an attribute is nobody's.

    Raises:
        FilterError: the stored filters cannot be used.
    """
    tree = parse_filters(target.entity_filters)
    if tree is None or not has_filters(target):
        note = PreviewNote("has no filters: a campaign for it would be for nobody", 0)
        return TargetPreview(0, [note])
    within = and_(*audience(session, org_id, target, now))
    conditions = list(conditions_of(tree))
    local = organization_time(session, org_id, now, conditions)
    odd: dict[tuple[str, str], ColumnElement[bool]] = {}
    given: dict[str, ColumnElement[bool]] = {}
    for condition in conditions:
        has_it = is_given(session, condition)
        if has_it is not None:
            given.setdefault(condition.key, has_it)
        found = unreadable(session, condition, local)
        if found is not None:
            odd.setdefault((condition.key, found[0]), found[1])
    count, *counts = session.execute(
        select(*(func.count().filter(one) for one in (within, *odd.values(), *given.values())))
        .select_from(Entity)
        .where(Entity.org_id == org_id, Entity.schema == target.entity_schema)
    ).one()
    notes = [
        PreviewNote(f"{key}: {_values(unread)} {reading}", unread, key)
        for (key, reading), unread in zip(odd, counts, strict=False)
        if unread
    ]
    missing = [key for key, having in zip(given, counts[len(odd) :], strict=True) if not having]
    notes += _missing(session, target, missing)
    return TargetPreview(count, [*notes, *_places(session, within)])


def _missing(session: Session, target: Target, keys: list[str]) -> list[PreviewNote]:
    """That no entity of the schema has some attributes, with the name of one that is written alike."""
    if not keys:
        return []
    known = [one.name for one in attribute_values(session, target.org_id, target.entity_schema)]
    return [
        PreviewNote(f"{key}: no {target.entity_schema} has this attribute{did_you_mean(key, known)}", 0, key)
        for key in keys
    ]


def _values(count: int) -> str:
    return "1 value is" if count == 1 else f"{count:,} values are"


def _places(session: Session, within: ColumnElement[bool]) -> list[PreviewNote]:
    rows = session.scalars(
        select(Entity.attributes)
        .where(within)
        .order_by(Entity.id)
        .limit(_PLACES)
        .execution_options(yield_per=_AT_ONCE)
    )
    seen = unread = 0
    for attributes in rows:
        seen += 1
        unread += place_is_unreadable(attributes)
    if not unread:
        return []
    among = f" of the first {_PLACES:,}" if seen == _PLACES else ""
    one = "1 person has a time zone or country that cannot be read"
    several = f"{unread:,} people have a time zone or country that cannot be read"
    return [PreviewNote(f"{one if unread == 1 else several}{among}; the organization's zone is used", unread)]
