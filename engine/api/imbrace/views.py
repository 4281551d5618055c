"""Rows as the iMBRACE dialect shows them: absent rather than null, and everything their author wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.api.masking import shown_settings
from engine.api.words import CAMPAIGN_WORDS, states_by_word
from engine.campaigns.open_campaigns import campaign_as_written
from engine.campaigns.touchpoints import campaigns_of, touchpoint_as_written
from engine.kernel.inputs import Invalid
from engine.kernel.suggestions import did_you_mean
from state.transitions import CampaignStatus

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.kernel.principal import Principal
    from state import tables

__all__ = ["campaign", "states_of", "touchpoint", "touchpoints"]

_STATES = states_by_word(CAMPAIGN_WORDS)


def states_of(word: str | None) -> list[CampaignStatus]:
    """The states that a word stands for; all of them for none.

    Raises:
        Invalid: it is no word for a status.
    """
    if word is None:
        return []
    if word not in _STATES:
        raise Invalid("status", f"{word[:64]!r} is none of {', '.join(_STATES)}{did_you_mean(word, _STATES)}")
    return list(_STATES[word])


def campaign(row: tables.Campaign) -> dict[str, Any]:
    """See `schemas.ImbraceCampaign`."""
    return {
        **campaign_as_written(row),
        "_id": str(row.id),
        "status": CAMPAIGN_WORDS[CampaignStatus(row.status)],
        **_times(row),
    }


def touchpoint(session: Session, principal: Principal, row: tables.Touchpoint) -> dict[str, Any]:
    """See `schemas.ImbraceTouchpoint`."""
    return touchpoints(session, principal, [row])[0]


def touchpoints(
    session: Session, principal: Principal, rows: Sequence[tables.Touchpoint], *, of: UUID | None = None
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
                **_written(principal, row),
                "_id": str(row.id),
                **({} if campaign_id is None else {"campaign_id": str(campaign_id)}),
                **_times(row),
            }
        )
    return shown


def _written(principal: Principal, row: tables.Touchpoint) -> dict[str, Any]:
    written = touchpoint_as_written(row)
    return dict(shown_settings(principal, written)) if row.type == "action" else written


def _times(row: Any) -> dict[str, str]:
    return {
        name: getattr(row, name).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        for name in ("created_at", "updated_at")
    }
