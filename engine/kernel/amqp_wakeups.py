"""Wake-ups over RabbitMQ."""

from __future__ import annotations

from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any

import pika

from engine.kernel.wakeups import GIVE_UP_SECONDS, WakeupError, encode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.kernel.commands import Command

__all__ = ["AmqpWakeups"]


class AmqpWakeups:
    """Persistent messages to RabbitMQ's default exchange, over one connection that is made anew when it broke."""

    def __init__(self, url: str) -> None:
        self._parameters = pika.URLParameters(url)
        self._parameters.socket_timeout = GIVE_UP_SECONDS
        self._parameters.blocked_connection_timeout = GIVE_UP_SECONDS
        self._lock = Lock()
        self._connection: Any = None
        self._channel: Any = None

    def send(self, commands: Sequence[Command]) -> None:
        """See `Wakeups.send`. A connection that idled to death is replaced once."""
        messages = [(command.queue, encode(command)[1]) for command in commands]
        with self._lock:
            for fresh in (False, True):
                try:
                    self._publish(messages, fresh=fresh)
                except (pika.exceptions.AMQPError, OSError) as error:
                    if fresh:
                        self._drop()
                        raise WakeupError(
                            f"RabbitMQ did not take {len(commands)} wake-ups: {error}"
                        ) from error
                else:
                    return

    def _publish(self, messages: list[tuple[str, bytes]], *, fresh: bool) -> None:
        if fresh or self._channel is None:
            self._drop()
            self._connection = pika.BlockingConnection(self._parameters)
            self._channel = self._connection.channel()
        for queue in {queue for queue, _ in messages}:
            # As dramatiq declares it; the first to come makes it.
            self._channel.queue_declare(
                queue=queue,
                durable=True,
                arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": f"{queue}.XQ"},
            )
        for queue, body in messages:
            self._channel.basic_publish("", queue, body, pika.BasicProperties(delivery_mode=2))
        self._connection.process_data_events(0)

    def _drop(self) -> None:
        if self._connection is not None and self._connection.is_open:
            with suppress(pika.exceptions.AMQPError, OSError):
                self._connection.close()
        self._connection = self._channel = None

    def close(self) -> None:
        """See `Wakeups.close`."""
        with self._lock:
            self._drop()
