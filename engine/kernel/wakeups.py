"""Putting commands on their way: Redis, RabbitMQ, or a Redis inside this process, in dramatiq's wire format.

Many commands travel in one round trip. A failure is the caller's to log, never to repair: the sweeper wakes whatever
stayed asleep. The clients (`redis_wakeups`, `amqp_wakeups`) therefore give up quickly and never repeat a call by
themselves.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

import orjson

from config.errors import MusterError
from engine.kernel.tracing import outgoing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.kernel.commands import Command

__all__ = ["GIVE_UP_SECONDS", "MemoryWakeups", "WakeupError", "Wakeups", "encode"]

#: How long a broker may take to answer.
GIVE_UP_SECONDS = 3.0


class WakeupError(MusterError):
    """The broker did not take the wake-ups. Nothing is lost by it."""


class Wakeups(Protocol):
    """Where commands go."""

    def send(self, commands: Sequence[Command]) -> None:
        """Put all `commands` on their way in one round trip.

        Raises:
            WakeupError: the broker cannot be reached or refused them.
        """
        ...

    def close(self) -> None:
        """Give back connections. Safe to call twice."""
        ...


def encode(command: Command) -> tuple[str, bytes]:
    """Dramatiq's message for a command: its id in Redis, and its JSON."""
    message_id = str(uuid4())
    options = {"redis_message_id": message_id}
    traceparent = outgoing()
    if traceparent is not None:
        options["traceparent"] = traceparent
    return message_id, orjson.dumps(
        {
            "queue_name": command.queue,
            "actor_name": command.actor,
            "args": (),
            "kwargs": command.model_dump(mode="json"),
            "options": options,
            "message_id": message_id,
            "message_timestamp": int(time.time() * 1000),
        }
    )


class MemoryWakeups:
    """A list, for tests and for looking at what would be sent."""

    def __init__(self) -> None:
        self.sent: list[Command] = []

    def send(self, commands: Sequence[Command]) -> None:
        """See `Wakeups.send`."""
        self.sent.extend(commands)

    def take(self) -> list[Command]:
        """All that was sent since the last call, in order."""
        taken, self.sent = self.sent, []
        return taken

    def close(self) -> None:
        """See `Wakeups.close`."""
