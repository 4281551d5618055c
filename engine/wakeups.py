"""Putting commands on their way: Redis, RabbitMQ, or a Redis inside this process, in dramatiq's wire format.

Many commands travel in one round trip. A failure is the caller's to log, never to repair: the sweeper wakes whatever
stayed asleep. The clients here therefore give up quickly and never repeat a call by themselves.
"""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import suppress
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

import fakeredis
import orjson
import pika
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from config.settings import EMBEDDED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.commands import Command

__all__ = [
    "AmqpWakeups",
    "MemoryWakeups",
    "RedisWakeups",
    "WakeupError",
    "Wakeups",
    "connect",
    "redis_client",
]

NAMESPACE = "dramatiq"
_GIVE_UP_SECONDS = 3.0


class WakeupError(Exception):
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


def connect(url: str) -> Wakeups:
    """The wake-ups of a broker URL: `redis[s]://`, `amqp[s]://` or `embedded://`. Connects lazily."""
    if url.startswith("amqp"):
        return AmqpWakeups(url)
    return RedisWakeups(redis_client(url, give_up=_GIVE_UP_SECONDS))


def redis_client(url: str, *, give_up: float | None) -> redis.Redis:
    """A client that never repeats a command by itself: a repeated Lua call would enqueue or fetch twice.

    Args:
        give_up: Seconds to wait for an answer. None waits for as long as it takes, which the consuming side needs:
            a fetch that is abandoned strands its messages.
    """
    if url.startswith(EMBEDDED):
        return fakeredis.FakeRedis(server=_embedded_server())
    return redis.Redis.from_url(
        url,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=give_up,
        socket_connect_timeout=_GIVE_UP_SECONDS,
        socket_keepalive=True,
    )


@lru_cache(maxsize=1)
def _embedded_server() -> fakeredis.FakeServer:
    return fakeredis.FakeServer()


def _encode(command: Command) -> tuple[str, bytes]:
    """Dramatiq's message for a command: its id in Redis, and its JSON."""
    message_id = str(uuid4())
    return message_id, orjson.dumps(
        {
            "queue_name": command.queue,
            "actor_name": command.actor,
            "args": (),
            "kwargs": command.model_dump(mode="json"),
            "options": {"redis_message_id": message_id},
            "message_id": message_id,
            "message_timestamp": int(time.time() * 1000),
        }
    )


class RedisWakeups:
    """One MULTI of HSET and RPUSH a queue, as dramatiq's own script does them for one message."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def send(self, commands: Sequence[Command]) -> None:
        """See `Wakeups.send`."""
        queues: dict[str, list[tuple[str, bytes]]] = defaultdict(list)
        for command in commands:
            queues[command.queue].append(_encode(command))
        pipeline = self._client.pipeline(transaction=True)
        for queue, messages in queues.items():
            pipeline.hset(f"{NAMESPACE}:{queue}.msgs", mapping=dict(messages))
            pipeline.rpush(f"{NAMESPACE}:{queue}", *(message_id for message_id, _ in messages))
        try:
            pipeline.execute()
        except redis.RedisError as error:
            raise WakeupError(f"Redis did not take {len(commands)} wake-ups: {error}") from error

    def close(self) -> None:
        """See `Wakeups.close`."""
        self._client.close()


class AmqpWakeups:
    """Persistent messages to RabbitMQ's default exchange, over one connection that is made anew when it broke."""

    def __init__(self, url: str) -> None:
        self._parameters = pika.URLParameters(url)
        self._parameters.socket_timeout = _GIVE_UP_SECONDS
        self._parameters.blocked_connection_timeout = _GIVE_UP_SECONDS
        self._lock = Lock()
        self._connection: Any = None
        self._channel: Any = None

    def send(self, commands: Sequence[Command]) -> None:
        """See `Wakeups.send`. A connection that idled to death is replaced once."""
        messages = [(command.queue, _encode(command)[1]) for command in commands]
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
            # As dramatiq declares it; whoever comes first makes it.
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
