"""Start the job of a retrigger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.delivery import retrigger as retriggering

if TYPE_CHECKING:
    from actors.context import Context
    from engine.commands import Retrigger

__all__ = ["retrigger"]


def retrigger(context: Context, command: Retrigger) -> None:
    """Start the job of a retrigger."""
    retriggering.start(context.runtime, command.org_id, command.job_id)
