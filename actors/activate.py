"""Plan the audience of an activated campaign's job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.delivery import plan

if TYPE_CHECKING:
    from actors.context import Context
    from engine.commands import Activate

__all__ = ["activate"]


def activate(context: Context, command: Activate) -> None:
    """Plan the audience of an activated campaign's job."""
    plan.plan(context.runtime, command.org_id, command.job_id)
