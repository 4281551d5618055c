"""Build and hand out a job's report, and finish the job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.delivery import finish

if TYPE_CHECKING:
    from actors.context import Context
    from engine.commands import Report

__all__ = ["report"]


def report(context: Context, command: Report) -> None:
    """Build and hand out a job's report, and finish the job."""
    finish.finish(context.runtime, command.org_id, command.job_id)
