"""Which actor takes which command: names and queues come from `engine.commands`, the work from one module each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dramatiq

from actors.activate import activate
from actors.cancel import cancel
from actors.distribute import distribute
from actors.execute import execute
from actors.notify import notify
from actors.report import report
from actors.retrigger import retrigger
from actors.run_dry import run_dry
from actors.sweep import sweep
from engine.commands import (
    Activate,
    Cancel,
    Command,
    Distribute,
    Execute,
    Notify,
    Report,
    Retrigger,
    RunDry,
    Sweep,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.context import Context

__all__ = ["ACTORS", "register"]

ACTORS: dict[type[Command], Callable[[Context, Any], None]] = {
    Activate: activate,
    Cancel: cancel,
    Execute: execute,
    Report: report,
    Retrigger: retrigger,
    RunDry: run_dry,
    Sweep: sweep,
    Distribute: distribute,
    Notify: notify,
}


def register(broker: dramatiq.Broker, context: Context) -> None:
    """Declare every actor on `broker`. A payload that is no such command fails its message and changes nothing."""
    for command, work in ACTORS.items():
        declare = dramatiq.actor(actor_name=command.actor, queue_name=command.queue, broker=broker)
        declare(_parsing(command, work, context))


def _parsing(
    command: type[Command], work: Callable[[Context, Any], None], context: Context
) -> Callable[..., None]:
    def receive(**payload: Any) -> None:
        work(context, command.model_validate(payload))

    return receive
