"""RQ: `rq worker-pool -w rq.worker.SimpleWorker`, which its notes on performance name for jobs of a few milliseconds.

Jobs are enqueued in bulk (`enqueue_many`, one pipeline a thousand) as JSON; results are not kept.
"""

from __future__ import annotations

import os

from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

from bench.peers import sending, work

__all__ = ["deliver", "enqueue"]


def deliver(campaign_id: str, entity_id: str) -> None:
    """See `work.deliver`."""
    work.deliver(campaign_id, entity_id)


def enqueue(campaign_id: str, ids: list[str]) -> None:
    """In bulk."""
    queue = Queue(connection=Redis.from_url(os.environ["BENCH_REDIS_URL"]), serializer=JSONSerializer)
    for start in range(0, len(ids), sending.BATCH):
        queue.enqueue_many(
            Queue.prepare_data(
                "bench.peers.rq_app.deliver", (campaign_id, entity_id), result_ttl=0, description="deliver"
            )
            for entity_id in ids[start : start + sending.BATCH]
        )
