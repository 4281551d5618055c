"""The stages that Muster itself moves targets through (contract.md §4).

    new → contacted → engaged → goal_met | goal_missed
    new → unreachable → contacted …

- contacted: a provider took a message for it, or a call was placed.
- unreachable: its delivery failed for good before anything was taken.
- engaged: it answered: a reply, a click, a conversion, a call that was completed.
- goal_met, goal_missed: verify-goal found so.

A stage that somebody set by hand is a word of theirs: nothing but them, and verify-goal, moves a target out of it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import case, or_

from state.tables import Recipient

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

__all__ = ["Stage", "moved_to", "verified"]


class Stage(StrEnum):
    """Stages with a meaning to Muster."""

    NEW = "new"
    CONTACTED = "contacted"
    ENGAGED = "engaged"
    GOAL_MET = "goal_met"
    GOAL_MISSED = "goal_missed"
    UNREACHABLE = "unreachable"


#: From where the machine moves a target to a stage.
_SOURCES = {
    Stage.CONTACTED: (Stage.NEW, Stage.UNREACHABLE),
    Stage.UNREACHABLE: (Stage.NEW,),
    Stage.ENGAGED: (Stage.NEW, Stage.UNREACHABLE, Stage.CONTACTED),
}


def moved_to(stage: Stage) -> ColumnElement[str | None]:
    """The value of `Recipient.stage` for rows to which what `stage` stands for has happened. Who is no target stays
    none.
    """
    # Not IN: statements that are compiled once have no lists that expand.
    movable = or_(*(Recipient.stage == source.value for source in _SOURCES[stage]))
    return case((movable, stage.value), else_=Recipient.stage)


def verified(result: str, stage: str) -> str:
    """The stage after verify-goal came to `result` (success, failure, unknown); `stage` is the one before."""
    if result == "success":
        return Stage.GOAL_MET
    if result == "failure":
        return Stage.GOAL_MISSED
    return Stage.ENGAGED if stage in (Stage.NEW, Stage.CONTACTED, Stage.UNREACHABLE) else stage
