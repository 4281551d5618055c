"""The broker that workers consume from: Redis, RabbitMQ, or a Redis inside this process.

dramatiq is used for what it does well, fetching and acknowledging messages on threads, and for nothing that a lost
message could break (design.md §5): no delayed messages, no retries, no groups, no limiters. A message that fails is
logged and acknowledged; the truth is in the database, and the sweeper wakes what is left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.brokers.redis import RedisBroker

from engine.wakeups import NAMESPACE, redis_client

if TYPE_CHECKING:
    import dramatiq
    from dramatiq.middleware import Middleware

__all__ = ["connect"]

#: A worker that died gives its fetched messages back within seconds (measured: 7 s; dramatiq's default takes minutes).
_HEARTBEAT_TIMEOUT_MS = 5_000
#: Every call may look for dead workers: of a million calls, this many do.
_MAINTENANCE_CHANCE = 20_000


class _Redis(RedisBroker):
    """dramatiq's Redis broker without delay queues: nothing is ever delayed there, so nobody needs to poll them."""

    def declare_queue(self, queue_name: str) -> None:
        """Declare a queue once."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)


def connect(url: str, middleware: list[Middleware]) -> dramatiq.Broker:
    """The broker of a URL: `redis://`, `rediss://`, `amqp://`, `amqps://` or `embedded://`. Connects lazily."""
    if url.startswith("amqp"):
        return RabbitmqBroker(url=url, middleware=middleware, confirm_delivery=True)
    return _Redis(  # type: ignore[no-untyped-call]
        client=redis_client(url, give_up=None),
        middleware=middleware,
        namespace=NAMESPACE,
        heartbeat_timeout=_HEARTBEAT_TIMEOUT_MS,
        maintenance_chance=_MAINTENANCE_CHANCE,
    )
