"""Celery: `celery -A bench.peers.celery_app worker`. Settings of its guide "Optimizing" for many short tasks."""

from __future__ import annotations

import os

from celery import Celery  # type: ignore[import-untyped]

from bench.peers import work

__all__ = ["app", "deliver", "enqueue"]

app = Celery("bench", broker=os.environ["BENCH_REDIS_URL"])
app.conf.update(
    task_ignore_result=True,
    task_acks_late=True,  # as safe as the protocol allows: a killed worker's message comes back
    task_store_errors_even_if_ignored=False,
    worker_prefetch_multiplier=128,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
)


@app.task(name="bench.deliver")  # type: ignore[untyped-decorator]
def deliver(campaign_id: str, entity_id: str) -> None:
    """See `work.deliver`."""
    work.deliver(campaign_id, entity_id)


def enqueue(campaign_id: str, ids: list[str]) -> None:
    """Over one producer: Celery sends messages one by one."""
    with app.producer_pool.acquire(block=True) as producer:
        for entity_id in ids:
            deliver.apply_async((campaign_id, entity_id), producer=producer)
