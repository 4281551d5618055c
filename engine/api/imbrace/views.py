"""Rows as the iMBRACE dialect shows them: absent rather than null, and everything their author wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.campaigns.open_campaigns import campaign_as_written
from engine.campaigns.touchpoints import campaigns_of, touchpoint_as_written
from engine.inputs import Invalid
from engine.suggestions import did_you_mean
from state.transitions import CampaignStatus

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from sqlalchemy.orm import Session

    from state import tables

__all__ = ["campaign", "states_of", "touchpoint", "touchpoints"]

#: contract.md §5: what each of our states is called here.
_WORDS = {
    CampaignStatus.DRAFT: "draft",
    CampaignStatus.ACTIVATING: "active",
    CampaignStatus.ACTIVE: "active",
    CampaignStatus.PAUSED: "paused",
    CampaignStatus.COMPLETED: "completed",
    CampaignStatus.CANCELLED: "cancelled",
}


def states_of(word: str | None) -> list[CampaignStatus]:
    """The states that a word stands for; all of them for none.

    Raises:
        Invalid: it is no word for a status.
    """
    if word is None:
        return []
    known = list(dict.fromkeys(_WORDS.values()))
    if word not in known:
        raise Invalid("status", f"{word[:64]!r} is none of {', '.join(known)}{did_you_mean(word, known)}")
    return [state for state, its in _WORDS.items() if its == word]


def campaign(row: tables.Campaign) -> dict[str, Any]:
    """See `schemas.ImbraceCampaign`."""
    return {
        **campaign_as_written(row),
        "_id": str(row.id),
        "status": _WORDS[CampaignStatus(row.status)],
        **_times(row),
    }


def touchpoint(session: Session, row: tables.Touchpoint) -> dict[str, Any]:
    """See `schemas.ImbraceTouchpoint`."""
    return touchpoints(session, [row])[0]


def touchpoints(
    session: Session, rows: Sequence[tables.Touchpoint], *, of: UUID | None = None
) -> list[dict[str, Any]]:
    """See `schemas.ImbraceTouchpoint`. `of` is the campaign they were asked for, where they were."""
    if not rows:
        return []
    campaigns = {} if of is not None else campaigns_of(session, rows[0].org_id, rows)
    shown = []
    for row in rows:
        campaign_id = campaigns.get(row.id, of)
        shown.append(
            {
                **touchpoint_as_written(row),
                "_id": str(row.id),
                **({} if campaign_id is None else {"campaign_id": str(campaign_id)}),
                **_times(row),
            }
        )
    return shown


def _times(row: Any) -> dict[str, str]:
    return {
        name: getattr(row, name).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        for name in ("created_at", "updated_at")
    }
