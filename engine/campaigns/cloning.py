"""A copy of a campaign: a draft of the same audience, messages and plans, which has sent nothing (contract.md §3).

What the original shares with others (targets, templates, channels, a flow that stands by itself) the copy shares as
well; what is the original's own is copied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from sqlalchemy import inspect, select

from engine import listing
from engine.events.outbox import record
from state.change import clock_of
from state.tables import Campaign, Flow, Target, Touchpoint
from state.transitions import CampaignStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.orm import Session

__all__ = ["clone_campaign"]

_LONGEST = 150
_SUFFIX = " (Copy)"
#: What belongs to the original's life.
_OWN = frozenset(
    (
        "id",
        "created_at",
        "updated_at",
        "status",
        "job_id",
        "activated_at",
        "reach",
        "paused_at",
        "paused_by",
        "carried",
    )
)


def clone_campaign(
    session: Session,
    org_id: UUID,
    campaign_id: UUID,
    *,
    name: str | None = None,
    statistics: Mapping[str, Any] | None = None,
    by: str | None = None,
) -> Campaign:
    """Copy a campaign, whatever its status; the copy is a draft.

    Args:
        name: Absent: the original's with " (Copy)".
        statistics: What the copy is to begin with; absent: with nothing.

    Raises:
        NotFound: there is no such campaign.
    """
    original = listing.find(session, Campaign, org_id, campaign_id)
    copy: Campaign = _copied(session, original, _OWN)
    copy.name = name or original.name[: _LONGEST - len(_SUFFIX)] + _SUFFIX
    copy.status, copy.created_by = CampaignStatus.DRAFT, by
    copy.carried = None if statistics is None else dict(statistics)
    copy.flow_id = None
    session.add(copy)
    session.flush()
    copy.flow_id = _flow(session, original, copy)
    copy.target_ids = _targets(session, original, copy)
    session.flush()
    record(
        session,
        org_id,
        "campaign.created",
        campaign_id=copy.id,
        title=copy.name,
        cloned_from=str(original.id),
    )
    return copy


def _copied(session: Session, row: Any, without: frozenset[str]) -> Any:
    """A new row with the values of `row`, an id of its own, and made now."""
    now = clock_of(session).now()
    names = [column.key for column in inspect(type(row)).mapper.column_attrs]
    values = {name: getattr(row, name) for name in names if name not in without | {"id"}}
    return type(row)(**{**values, "id": uuid4(), "created_at": now, "updated_at": now})


def _flow(session: Session, original: Campaign, copy: Campaign) -> UUID | None:
    if original.flow_id is None:
        return None
    flow = listing.find(session, Flow, original.org_id, original.flow_id)
    if flow.campaign_id != original.id:
        return flow.id
    own = _copied(session, flow, frozenset(("campaign_id",)))
    own.campaign_id = copy.id
    session.add(own)
    session.flush()
    for touchpoint in session.scalars(
        select(Touchpoint).where(Touchpoint.org_id == original.org_id, Touchpoint.flow_id == flow.id)
    ).all():
        step = _copied(session, touchpoint, frozenset(("flow_id",)))
        step.flow_id = own.id
        session.add(step)
    session.flush()
    own_id: UUID = own.id
    return own_id


def _targets(session: Session, original: Campaign, copy: Campaign) -> list[str]:
    own = {
        target.id: target
        for target in session.scalars(
            select(Target).where(Target.org_id == original.org_id, Target.campaign_id == original.id)
        )
    }
    ids = []
    for target_id in original.target_ids:
        target = own.get(UUID(target_id))
        if target is not None:
            target = _copied(session, target, frozenset(("campaign_id",)))
            target.campaign_id = copy.id
            session.add(target)
        ids.append(target_id if target is None else str(target.id))
    return ids
