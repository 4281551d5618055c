"""A copy of a campaign: a draft of the same audience, messages and plans, which has sent nothing
(docs/contract/campaigns-api.md).

The copy has a flow of its own, also where others use the original's: neither changes what the other sends. Targets,
templates and channels are shared, but for targets that are the original's own, which are copied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import select

from engine.campaigns.copying import copy_flow, copy_row
from engine.events.outbox import record
from engine.kernel import listing
from state.tables import Campaign, Flow, Target
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
        "texts_kept_from",
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
    copy: Campaign = copy_row(session, original, _OWN)
    copy.name = name or original.name[: _LONGEST - len(_SUFFIX)] + _SUFFIX
    copy.status, copy.created_by = CampaignStatus.DRAFT, by
    copy.carried = None if statistics is None else dict(statistics)
    copy.flow_id = None
    session.add(copy)
    session.flush()
    if original.flow_id is not None:
        flow = listing.find(session, Flow, org_id, original.flow_id)
        copy.flow_id = copy_flow(session, flow, campaign_id=copy.id)[0].id
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
            target = copy_row(session, target, frozenset(("campaign_id",)))
            target.campaign_id = copy.id
            session.add(target)
        ids.append(target_id if target is None else str(target.id))
    return ids
