"""dramatiq: `dramatiq bench.peers.dramatiq_app`. Redis, the middleware of its defaults, one message a recipient."""

from __future__ import annotations

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from bench.peers import work

__all__ = ["broker", "deliver", "enqueue"]

broker = RedisBroker(url=os.environ["BENCH_REDIS_URL"])
dramatiq.set_broker(broker)


@dramatiq.actor(max_retries=3)
def deliver(campaign_id: str, entity_id: str) -> None:
    """See `work.deliver`."""
    work.deliver(campaign_id, entity_id)


def enqueue(campaign_id: str, ids: list[str]) -> None:
    """One by one: the broker has no other way."""
    for entity_id in ids:
        deliver.send(campaign_id, entity_id)
