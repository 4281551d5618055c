"""Record what a cancelled job leaves undelivered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.delivery import cancel as winding_up

if TYPE_CHECKING:
    from actors.context import Context
    from engine.commands import Cancel

__all__ = ["cancel"]


def cancel(context: Context, command: Cancel) -> None:
    """Record what a cancelled job leaves undelivered."""
    winding_up.cancel(context.runtime, command.org_id, command.job_id)
