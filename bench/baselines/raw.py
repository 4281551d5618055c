"""Two updates a recipient: in progress, with a fresh execution id, before it is sent, and its outcome after it.

What Muster did, statement for statement, when this baseline was written; four indexes hold the status, so that neither
update stays on its page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

__all__ = ["SETTLE", "claim"]

_TAKE = """
    UPDATE slice SET state = 'leased', lease_epoch = lease_epoch + 1, lease_expires_at = now() + interval '30 s',
        woken_at = now()
    WHERE job_id = %(job_id)s AND number = (
        SELECT number FROM slice WHERE job_id = %(job_id)s AND state = 'ready'
        ORDER BY due_at, number LIMIT 1 FOR UPDATE SKIP LOCKED
    ) RETURNING number
"""
_CLAIM = """
    UPDATE recipient SET automation_status = 'in_progress', execution_id = gen_random_uuid(), attempt = attempt + 1,
        in_flight = true, updated_at = now()
    FROM entity
    WHERE job_id = %s AND slice_number = %s AND entity.id = entity_id
    RETURNING entity_id, execution_id, attributes
"""
SETTLE = """
    UPDATE recipient SET automation_status = 'success', in_flight = false, sent_at = now(), updated_at = now()
    WHERE job_id = %(job_id)s AND slice_number = %(number)s
"""


def claim(connection: psycopg.Connection[Any], names: dict[str, Any]) -> tuple[int, list[Any]] | None:
    """Take a slice and mark its recipients: its number, and what a message needs; None when none is ready."""
    taken = connection.execute(_TAKE, names).fetchone()
    if taken is None:
        return None
    return taken[0], connection.execute(_CLAIM, (names["job_id"], taken[0])).fetchall()
