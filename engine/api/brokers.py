"""Looking at the broker from outside: does it answer, and how much waits in it."""

from __future__ import annotations

from contextlib import closing

import pika
import redis

from config.errors import MusterError
from engine.kernel.commands import QUEUES
from engine.kernel.redis_wakeups import NAMESPACE, redis_client

__all__ = ["BrokerAway", "queue_depths"]

_GIVE_UP_SECONDS = 3.0


class BrokerAway(MusterError):
    """The broker does not answer."""


def queue_depths(url: str) -> dict[str, int]:
    """Queue → wake-ups that wait in it, over a connection of its own.

    Raises:
        BrokerAway: it cannot be reached, or refuses.
    """
    return _amqp(url) if url.startswith("amqp") else _redis(url)


def _redis(url: str) -> dict[str, int]:
    try:
        with closing(redis_client(url, give_up=_GIVE_UP_SECONDS)) as client:
            pipeline = client.pipeline(transaction=False)
            pipeline.ping()
            for queue in QUEUES:
                pipeline.llen(f"{NAMESPACE}:{queue}")
            _, *depths = pipeline.execute()
    except (redis.RedisError, OSError) as error:
        raise BrokerAway(f"Redis does not answer: {error}") from error
    return dict(zip(QUEUES, map(int, depths), strict=True))


def _amqp(url: str) -> dict[str, int]:
    parameters = pika.URLParameters(url)
    parameters.socket_timeout = _GIVE_UP_SECONDS
    parameters.blocked_connection_timeout = _GIVE_UP_SECONDS
    try:
        with closing(pika.BlockingConnection(parameters)) as connection:
            return {queue: _waiting(connection, queue) for queue in QUEUES}
    except (pika.exceptions.AMQPError, OSError) as error:
        raise BrokerAway(f"RabbitMQ does not answer: {type(error).__name__} {error}".strip()) from error


def _waiting(connection: pika.BlockingConnection, queue: str) -> int:
    """Messages of a queue; one that nobody has declared yet holds none (asking for it closes the channel)."""
    try:
        declared = connection.channel().queue_declare(queue=queue, passive=True)
    except pika.exceptions.ChannelClosedByBroker:
        return 0
    return int(declared.method.message_count)
