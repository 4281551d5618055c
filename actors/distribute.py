"""Give new events their place, and hand them to whoever subscribes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.events import distribute as events

if TYPE_CHECKING:
    from actors.context import Context
    from engine.commands import Distribute

__all__ = ["distribute"]


def distribute(context: Context, command: Distribute) -> None:  # noqa: ARG001 - the command says all by its name
    """Distribute what is committed."""
    events.distribute(context.runtime)
