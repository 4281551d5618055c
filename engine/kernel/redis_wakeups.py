"""Wake-ups over Redis, or over a Redis inside this process."""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache
from typing import TYPE_CHECKING

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from config.settings import EMBEDDED
from engine.kernel.wakeups import GIVE_UP_SECONDS, WakeupError, encode

if TYPE_CHECKING:
    from collections.abc import Sequence

    import fakeredis

    from engine.kernel.commands import Command

__all__ = ["NAMESPACE", "RedisWakeups", "redis_client"]

NAMESPACE = "dramatiq"


def redis_client(url: str, *, give_up: float | None) -> redis.Redis:
    """A client that never repeats a command by itself: a repeated Lua call would enqueue or fetch twice.

    Args:
        give_up: Seconds to wait for an answer. None waits for as long as it takes, which the consuming side needs:
            a fetch that is abandoned strands its messages.
    """
    if url.startswith(EMBEDDED):
        import fakeredis  # noqa: PLC0415 - a tenth of a worker's memory, for the embedded form alone

        return fakeredis.FakeRedis(server=_embedded_server())
    return redis.Redis.from_url(
        url,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=give_up,
        socket_connect_timeout=GIVE_UP_SECONDS,
        socket_keepalive=True,
    )


@lru_cache(maxsize=1)
def _embedded_server() -> fakeredis.FakeServer:
    import fakeredis  # noqa: PLC0415 - as above

    return fakeredis.FakeServer()


class RedisWakeups:
    """One MULTI of HSET and RPUSH a queue, as dramatiq's own script does them for one message."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def send(self, commands: Sequence[Command]) -> None:
        """See `Wakeups.send`."""
        queues: dict[str, list[tuple[str, bytes]]] = defaultdict(list)
        for command in commands:
            queues[command.queue].append(encode(command))
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
