"""Do the sweeper's chores once, on demand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine import sweeper

if TYPE_CHECKING:
    from actors.context import Context
    from engine.commands import Sweep

__all__ = ["sweep"]


def sweep(context: Context, command: Sweep) -> None:  # noqa: ARG001 - the command says all by its name
    """Sweep once, unless another process is at it."""
    sweeper.sweep(context.runtime)
