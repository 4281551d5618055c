"""Start what is scheduled, wake what is due, take back what expired: what the scheduler does by itself, on demand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.campaigns.scheduling import start_due
from engine.delivery import recover

if TYPE_CHECKING:
    from actors.context import Context
    from engine.commands import Sweep

__all__ = ["sweep"]


def sweep(context: Context, command: Sweep) -> None:  # noqa: ARG001 - the command says all by its name
    """Start what is scheduled, and sweep, once."""
    start_due(context.runtime)
    recover.sweep(context.runtime)
