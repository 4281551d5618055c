"""Tell a webhook what it waits for about one campaign."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from actors.context import Context
    from engine.commands import Notify

__all__ = ["notify"]


def notify(context: Context, command: Notify) -> None:
    """Hand the lane to the process's postman, which works beside the threads: this returns at once."""
    context.postman.take(command)
