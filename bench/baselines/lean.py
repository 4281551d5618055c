"""One update a recipient: the least that leaves a durable outcome of everybody, and so the ceiling.

A claim is one row of the slice: the range of keys that is being sent, committed before the first byte leaves.
Recipients that is in the range of a dead lease and has no outcome is in doubt. A recipient is written when it is
planned and once more
with its outcome, on its own page (fillfactor 50, no index holds the status).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

__all__ = ["SETTLE", "claim"]

_CLAIM = """
    UPDATE slice SET state = 'leased', lease_epoch = lease_epoch + 1, lease_expires_at = now() + interval '30 s',
        woken_at = now(), claimed_first = first_entity, claimed_last = last_entity, in_progress = size
    WHERE job_id = %(job_id)s AND number = (
        SELECT number FROM slice WHERE job_id = %(job_id)s AND state = 'ready'
        ORDER BY due_at, number LIMIT 1 FOR UPDATE SKIP LOCKED
    ) RETURNING number
"""
_READ = """
    SELECT entity_id, attributes FROM recipient JOIN entity ON entity.id = entity_id
    WHERE job_id = %s AND slice_number = %s
"""
SETTLE = """
    UPDATE recipient SET automation_status = 'success', attempt = attempt + 1, sent_at = now(), updated_at = now()
    WHERE job_id = %(job_id)s AND slice_number = %(number)s
"""


def claim(connection: psycopg.Connection[Any], names: dict[str, Any]) -> tuple[int, list[Any]] | None:
    """Take a slice with its range of keys: its number, and what a message needs; None when none is ready."""
    taken = connection.execute(_CLAIM, names).fetchone()
    if taken is None:
        return None
    return taken[0], connection.execute(_READ, (names["job_id"], taken[0])).fetchall()
