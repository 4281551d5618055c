"""Whom a run of a campaign takes in, as conditions on Entity: whom planning walks (engine.delivery.plan), to be looked
at and not written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import and_, not_, or_, select

from engine.filters.targets import audience, has_filters
from state.change import clock_of
from state.sampling import within
from state.tables import Entity, Target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

    from state.tables import Campaign

__all__ = ["everybody_of", "run_targets", "share_of_target"]


def run_targets(session: Session, campaign: Campaign) -> list[Target]:
    """The campaign's targets that have filters, in their order: nobody is taken in by one that has none."""
    wanted = [UUID(target_id) for target_id in campaign.target_ids]
    found = {
        target.id: target
        for target in session.scalars(
            select(Target).where(Target.org_id == campaign.org_id, Target.id.in_(wanted))
        )
    }
    return [found[key] for key in wanted if key in found and has_filters(found[key])]


def share_of_target(
    session: Session, org_id: UUID, campaign_id: UUID, targets: Sequence[Target], index: int, *, reach: float
) -> list[ColumnElement[bool]]:
    """Those of a target who are in none before it, as far as the run reaches (in percent).

    Raises:
        FilterError: stored filters cannot be used.
    """
    now = clock_of(session).now()
    conditions = audience(session, org_id, targets[index], now)
    if index:
        before = (and_(*audience(session, org_id, target, now)) for target in targets[:index])
        conditions = [*conditions, not_(or_(*before))]
    sampled = within(session, campaign_id, Entity.id, reach)
    return conditions if sampled is None else [*conditions, sampled]


def everybody_of(session: Session, org_id: UUID, targets: Sequence[Target]) -> list[ColumnElement[bool]]:
    """Everybody in any of the targets.

    Raises:
        FilterError: stored filters cannot be used.
    """
    now = clock_of(session).now()
    any_of = [and_(*audience(session, org_id, target, now)) for target in targets]
    return [Entity.org_id == org_id, or_(*any_of) if any_of else Entity.id.is_(None)]
