"""The stages that Muster itself moves targets through (docs/contract/enrolled-targets.md): `state.transitions.STAGE`.

    new → contacted → engaged → goal_met | goal_missed
    new → unreachable → contacted …

A stage that somebody set by hand is a word of theirs: nothing but them, and verify-goal, moves a target out of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import case

from state.change import sources_of
from state.tables import Recipient
from state.transitions import STAGE, TargetStage

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

__all__ = ["moved_to", "verified"]


def moved_to(stage: TargetStage) -> ColumnElement[str | None]:
    """The value of `Recipient.stage` for rows to which what `stage` stands for has happened. Who is no target stays
    none, and who is not where the table lets them come from stays where they are.
    """
    return case((sources_of(STAGE, stage), stage.value), else_=Recipient.stage)


def verified(result: str, stage: str) -> str:
    """The stage after verify-goal came to `result` (success, failure, unknown); `stage` is the one before."""
    if result == "success":
        return TargetStage.GOAL_MET
    if result == "failure":
        return TargetStage.GOAL_MISSED
    return TargetStage.ENGAGED if stage in STAGE.sources(TargetStage.ENGAGED) else stage
