"""The broker that workers consume from: Redis, RabbitMQ, or a Redis inside this process.

dramatiq is used for what it does well, fetching and acknowledging messages on threads, and for nothing that a lost
message could break (docs/architecture.md): no delayed messages, no retries, no groups, no limiters. A message that
fails is
logged and acknowledged; the truth is in the database, and the sweeper wakes what is left.
"""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING, Any

from dramatiq.brokers.redis import RedisBroker, _RedisConsumer

from engine.kernel.redis_wakeups import NAMESPACE, redis_client

if TYPE_CHECKING:
    import dramatiq
    from dramatiq.middleware import Middleware

__all__ = ["connect"]

#: A worker that died gives its fetched messages back within seconds (measured: 7 s; dramatiq's default takes minutes).
_HEARTBEAT_TIMEOUT_MS = 5_000
#: Every call may look for dead workers: of a million calls, this many do.
_MAINTENANCE_CHANCE = 20_000


class _Consumer(_RedisConsumer):
    """dramatiq's consumer, which sleeps while every thread is at work; this one is woken by the first that is not:
    threads waited for a fetch for a fifth of the time of a large campaign.
    """

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)  # type: ignore[no-untyped-call]
        self._freed = Event()

    def ack(self, message: Any) -> None:
        """Acknowledge on the worker's thread, and let the consumer's fetch the next."""
        super().ack(message)  # type: ignore[no-untyped-call]
        self._freed.set()

    def nack(self, message: Any) -> None:
        """The same for a message that failed."""
        super().nack(message)  # type: ignore[no-untyped-call]
        self._freed.set()

    def __next__(self) -> Any:
        """The next message; None after a while without one."""
        if not self.message_cache and self.outstanding_message_count >= self.prefetch:
            self._freed.wait(self.timeout / 1000)
            self._freed.clear()
            self.misses = 0
            if self.outstanding_message_count >= self.prefetch:
                return None
        return super().__next__()  # type: ignore[no-untyped-call]


class _Redis(RedisBroker):
    """dramatiq's Redis broker without delay queues: nothing is ever delayed there, so nobody needs to poll them."""

    @property
    def consumer_class(self) -> type[_Consumer]:
        """What `consume` makes."""
        return _Consumer

    def declare_queue(self, queue_name: str) -> None:
        """Declare a queue once."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)


def connect(url: str, middleware: list[Middleware]) -> dramatiq.Broker:
    """The broker of a URL: `redis://`, `rediss://`, `amqp://`, `amqps://` or `embedded://`. Connects lazily."""
    if url.startswith("amqp"):
        from dramatiq.brokers.rabbitmq import RabbitmqBroker  # noqa: PLC0415 - nobody on Redis needs it

        return RabbitmqBroker(url=url, middleware=middleware, confirm_delivery=True)
    return _Redis(  # type: ignore[no-untyped-call]
        client=redis_client(url, give_up=None),
        middleware=middleware,
        namespace=NAMESPACE,
        heartbeat_timeout=_HEARTBEAT_TIMEOUT_MS,
        maintenance_chance=_MAINTENANCE_CHANCE,
    )
