"""What a job does for one recipient: two durable updates, each its own transaction, and the message in between.

Connections are in autocommit, so that an update is one round trip; psycopg prepares what is repeated.
"""

from __future__ import annotations

import os
from functools import cache
from threading import local
from typing import TYPE_CHECKING, Any

import psycopg

from engine.content.templates import compile_template

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CLAIM", "SETTLE", "database_url", "deliver", "render"]

CLAIM = """
    UPDATE recipient SET automation_status = 'in_progress', execution_id = gen_random_uuid(), attempt = attempt + 1,
        updated_at = clock_timestamp()
    FROM entity
    WHERE campaign_id = %s AND entity_id = %s AND automation_status <> 'success' AND entity.id = entity_id
    RETURNING attributes
"""
#: The time of the last one is the end of the run.
SETTLE = """
    UPDATE recipient SET automation_status = 'success', sent_at = clock_timestamp(), updated_at = clock_timestamp()
    WHERE campaign_id = %s AND entity_id = %s
"""
_template = compile_template(
    "Hello {{ first_name }}",
    text="Dear {{ first_name }} {{ last_name }},\n\nthere is news in {{ city }}.\n",
)
_own = local()


@cache
def database_url() -> str:
    """Of libpq; the schema of the peers' table is in it."""
    return os.environ["BENCH_DATABASE_URL"]


def render(attributes: Mapping[str, Any]) -> object:
    """The message of one person, by Muster's own renderer, which is the fastest at hand."""
    return _template.render(attributes)


def deliver(campaign_id: str, entity_id: str) -> None:
    """Deliver to one recipient over this thread's own connection. One that has been delivered is passed over."""
    connection = getattr(_own, "connection", None)
    if connection is None:
        connection = _own.connection = psycopg.connect(database_url(), autocommit=True)
    claimed = connection.execute(CLAIM, (campaign_id, entity_id)).fetchone()
    if claimed is not None:
        render(claimed[0])
        connection.execute(SETTLE, (campaign_id, entity_id))
