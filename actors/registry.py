"""Which actor takes which command: names and queues come from `engine.kernel.commands`, the work is the engine's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dramatiq
from dramatiq.middleware import CurrentMessage

from actors import sweeper
from engine.campaigns import execute_dry_run
from engine.delivery import cancel, finish, plan, retrigger
from engine.events import distribute
from engine.kernel import tracing
from engine.kernel.commands import (
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

#: Command → what is done about it. Each may be repeated: the second run finds nothing to do.
ACTORS: dict[type[Command], Callable[[Context, Any], object]] = {
    Activate: lambda context, command: plan.plan(context.runtime, command.org_id, command.job_id),
    Cancel: lambda context, command: cancel.cancel(context.runtime, command.org_id, command.job_id),
    Execute: lambda context, command: context.executor.execute(
        command.org_id, command.job_id, command.number
    ),
    Retrigger: lambda context, command: retrigger.start(context.runtime, command.org_id, command.job_id),
    RunDry: lambda context, command: execute_dry_run.run_dry(context.runtime, command.org_id, command.run_id),
    Report: lambda context, command: finish.finish(context.runtime, command.org_id, command.job_id),
    Sweep: lambda context, _: sweeper.sweep(context.runtime),
    Distribute: lambda context, _: distribute.distribute(context.runtime),
    Notify: lambda context, command: context.dispatcher.take(command),
}


def register(broker: dramatiq.Broker, context: Context) -> None:
    """Declare every actor on `broker`. A payload that is no such command fails its message and changes nothing."""
    for command, work in ACTORS.items():
        declare = dramatiq.actor(actor_name=command.actor, queue_name=command.queue, broker=broker)
        declare(_parsing(command, work, context))


def _parsing(
    command: type[Command], work: Callable[[Context, Any], object], context: Context
) -> Callable[..., None]:
    def receive(**payload: Any) -> None:
        message = CurrentMessage.get_current_message()
        traceparent = None if message is None else message.options.get("traceparent")
        with tracing.span(command.actor, kind="consumer", parent=traceparent, forwards=command is Execute):
            work(context, command.model_validate(payload))

    return receive
