"""From an address to the source that it names. A process loads the client of its broker only."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from engine.inbound.intake.source import SourceMisnamed

if TYPE_CHECKING:
    from engine.inbound.intake.source import Source

__all__ = ["connect_source"]


def connect_source(url: str) -> Source:
    """The source of an address: `redis[s]://…?stream=`, `amqp[s]://…?queue=` or `nats://…?stream=`. Connects lazily.

    Raises:
        SourceMisnamed: it is none of them, or lacks its queue.
    """
    scheme = urlsplit(url).scheme
    if scheme in ("redis", "rediss"):
        from engine.inbound.intake.redis_streams import RedisStream  # noqa: PLC0415 - of its broker only

        return RedisStream(url)
    if scheme in ("amqp", "amqps"):
        from engine.inbound.intake.rabbitmq import RabbitMqQueue  # noqa: PLC0415

        return RabbitMqQueue(url)
    if scheme in ("nats", "tls"):
        try:
            from engine.inbound.intake.jetstream import JetStream  # noqa: PLC0415
        except ModuleNotFoundError as error:
            if error.name != "nats":
                raise
            raise SourceMisnamed(
                "the client of NATS is not installed: pip install 'muster-engine[nats]'"
            ) from None
        return JetStream(url)
    raise SourceMisnamed(f"{scheme or url[:40]!r} is none of redis://, amqp:// and nats://")
