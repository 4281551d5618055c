"""Who plans and enqueues: a process of its own, as the program that starts a campaign would be.

`python -m bench.peers.sending celery` takes `enqueue` of `celery_app`. It says that it is ready, waits for the
benchmark to let go of an advisory lock, writes the recipients, enqueues a job for each, and waits for a second lock
before it ends, so that its processor time can be read.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

import psycopg

from bench.peers.work import database_url

if TYPE_CHECKING:
    from collections.abc import Awaitable

__all__ = ["BATCH", "END", "READY", "START"]

#: Keys of the advisory locks; work.mjs knows them as well.
START, END = 7001, 7002
#: Jobs that are enqueued together, by queues that can.
BATCH = 1000
READY = "ready to send"
_PLAN = """
    INSERT INTO recipient (campaign_id, entity_id, org_id, entity_schema, title, job_id, slice_number,
        automation_status, attempt, in_flight, created_at, updated_at)
    SELECT %s, id, org_id, schema, title, gen_random_uuid(), 0, 'pending', 0, false, now(), now()
    FROM entity WHERE org_id = %s
    RETURNING entity_id::text
"""


def main() -> None:
    """Plan the campaign and enqueue it."""
    queue = import_module(f"bench.peers.{sys.argv[1]}_app")
    campaign_id, org_id = os.environ["BENCH_CAMPAIGN_ID"], os.environ["BENCH_ORG_ID"]
    with psycopg.connect(database_url(), autocommit=True) as connection:
        print(READY)
        connection.execute("SELECT pg_advisory_lock(%s)", (START,))
        ids = [key for (key,) in connection.execute(_PLAN, (campaign_id, org_id))]
        enqueued = queue.enqueue(campaign_id, ids)
        if inspect.isawaitable(enqueued):
            asyncio.run(_finish(enqueued))
        connection.execute("SELECT pg_advisory_lock(%s)", (END,))


async def _finish(enqueued: Awaitable[None]) -> None:
    await enqueued


if __name__ == "__main__":
    main()
