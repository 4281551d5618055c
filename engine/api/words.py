"""What each dialect calls a campaign's states (docs/contract/states.md), and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from state.transitions import CampaignStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CAMPAIGN_WORDS", "states_by_word"]

#: In the Campaigns API and iMBRACE's dialect. That a campaign is being activated is not distinguished.
CAMPAIGN_WORDS = {
    CampaignStatus.DRAFT: "draft",
    CampaignStatus.ACTIVATING: "active",
    CampaignStatus.ACTIVE: "active",
    CampaignStatus.PAUSED: "paused",
    CampaignStatus.COMPLETED: "completed",
    CampaignStatus.CANCELLED: "cancelled",
}


def states_by_word(words: Mapping[CampaignStatus, str]) -> dict[str, tuple[CampaignStatus, ...]]:
    """All the states that each word stands for: a filter by a word means any of them (docs/contract/states.md)."""
    return {
        word: tuple(state for state, its in words.items() if its == word)
        for word in dict.fromkeys(words.values())
    }
