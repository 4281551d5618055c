"""What was found out about an enrolled target: the analysis fields of docs/contract/enrolled-targets.md, written as
one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

__all__ = ["ANALYSIS", "ANALYSIS_COLUMNS", "analysed"]

#: Every field, in the contract's order, with what it holds.
ANALYSIS: Final[dict[str, type]] = {
    "ai_label": str,
    "ai_score": float,
    "ai_reason": str,
    "goal_analysis": dict,
    "analysis_source": str,
    "call_successful": str,
    "call_summary_title": str,
    "transcript_summary": str,
    "agent_goal_result": str,
    "agent_goal_rationale": str,
    "customer_sentiment": str,
    "customer_sentiment_rationale": str,
    "follow_up_required": bool,
    "follow_up_required_rationale": str,
    "escalation_required": bool,
    "escalation_required_rationale": str,
    "campaign_goal_result": str,
    "campaign_goal_score": float,
    "campaign_goal_rationale": str,
    "campaign_sentiment": str,
    "campaign_sentiment_rationale": str,
    "callback_requested": bool,
    "callback_requested_rationale": str,
    "campaign_next_best_action": str,
}
#: Those that listings filter by and count have a column of their own (state.tables.enrolment).
ANALYSIS_COLUMNS = (
    "ai_label",
    "ai_score",
    "follow_up_required",
    "callback_requested",
    "escalation_required",
    "campaign_goal_result",
    "campaign_goal_score",
    "campaign_sentiment",
    "customer_sentiment",
    "analysis_source",
)


def analysed(
    fields: Mapping[str, Any], *, now: datetime, goal: bool, before: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The columns of a recipient for an analysis, to be set in one UPDATE.

    Args:
        fields: By the contract's names; what is absent or None stays as it was in `before`.
        goal: Whether the campaign's goal was verified (else: one call was analysed).
        before: The recipient's `analysis` so far.

    Raises:
        KeyError: a field is none of the contract's.
    """
    unknown = sorted(fields.keys() - ANALYSIS.keys())
    if unknown:
        raise KeyError(unknown[0])
    merged = {**(before or {}), **{name: value for name, value in fields.items() if value is not None}}
    merged.setdefault("ai_label", "unknown")
    return {
        "analysis": merged,
        "analysis_updated_at": now,
        **({"campaign_analysis_updated_at": now} if goal else {}),
        **{name: merged.get(name) for name in ANALYSIS_COLUMNS},
    }
