"""Deliver one slice."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from actors.context import Context
    from engine.commands import Execute

__all__ = ["execute"]


def execute(context: Context, command: Execute) -> None:
    """Deliver one slice."""
    context.executor.execute(command.org_id, command.job_id, command.number)
