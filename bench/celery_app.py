"""What most teams would write: one Celery message a recipient, two row updates each. The baseline of celery_case.

Started as `celery -A bench.celery_app worker`; settings come from BENCH_DATABASE_URL and BENCH_REDIS_URL.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

import psycopg
from celery import Celery  # type: ignore[import-untyped]

__all__ = ["app", "deliver"]

app = Celery("bench", broker=os.environ.get("BENCH_REDIS_URL", "redis://127.0.0.1:6379/0"))
app.conf.update(
    task_ignore_result=True,
    task_acks_late=True,  # as safe as the protocol allows: a killed worker's message comes back
    worker_prefetch_multiplier=16,
    broker_connection_retry_on_startup=True,
)


@lru_cache(maxsize=1)
def _connection() -> psycopg.Connection[Any]:
    return psycopg.connect(os.environ["BENCH_DATABASE_URL"])


@app.task  # type: ignore[untyped-decorator]
def deliver(campaign_id: str, entity_id: str) -> None:
    """Claim, read what a message needs, settle."""
    connection = _connection()
    claimed = connection.execute(
        "UPDATE recipient SET automation_status = 'in_progress', execution_id = gen_random_uuid(), "
        "attempt = attempt + 1, updated_at = now() FROM entity WHERE campaign_id = %s AND entity_id = %s "
        "AND automation_status = 'pending' AND entity.id = entity_id RETURNING attributes",
        (campaign_id, entity_id),
    ).fetchone()
    connection.commit()
    if claimed is None:
        return
    connection.execute(
        "UPDATE recipient SET automation_status = 'success', updated_at = now() "
        "WHERE campaign_id = %s AND entity_id = %s",
        (campaign_id, entity_id),
    )
    connection.commit()
