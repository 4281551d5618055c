"""From a broker's URL to the client that puts wake-ups on their way. A process loads the client of its broker only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.kernel.wakeups import GIVE_UP_SECONDS

if TYPE_CHECKING:
    from engine.kernel.wakeups import Wakeups

__all__ = ["connect"]


def connect(url: str) -> Wakeups:
    """The wake-ups of a broker URL: `redis[s]://`, `amqp[s]://` or `embedded://`. Connects lazily."""
    if url.startswith("amqp"):
        from engine.kernel.amqp_wakeups import AmqpWakeups  # noqa: PLC0415 - a process loads the client of its broker only

        return AmqpWakeups(url)
    from engine.kernel.redis_wakeups import RedisWakeups, redis_client  # noqa: PLC0415

    return RedisWakeups(redis_client(url, give_up=GIVE_UP_SECONDS))
