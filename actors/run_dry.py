"""Carry on a dry run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.campaigns import dry_running

if TYPE_CHECKING:
    from actors.context import Context
    from engine.commands import RunDry

__all__ = ["run_dry"]


def run_dry(context: Context, command: RunDry) -> None:
    """Carry on a dry run."""
    dry_running.run_dry(context.runtime, command.org_id, command.run_id)
