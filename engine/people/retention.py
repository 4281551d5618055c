"""How long what is known of people and of changes is kept, by kind: the sweeper removes what is older, in slices.

| kind | setting | what goes |
|---|---|---|
| audit | `MUSTER_RETENTION_AUDIT_DAYS` | records of the audit log |
| dry_runs | `MUSTER_RETENTION_DRY_RUN_DAYS` | dry runs that are over, with their findings |
| recipients | `MUSTER_RETENTION_RECIPIENT_DAYS` | texts about recipients of campaigns that are over; the rows stay |
| former_people | `MUSTER_RETENTION_FORMER_DAYS` | digests by which deleted people are known again |

A kind without a setting is kept for good. Events have their own (engine.events.retention), as have answers to requests
(a day) and reported events.

A slice is one transaction. A kind of which nothing is left to remove is looked at again after `PAUSE`: not every
table has an index for it; one that fails is tried again then too, and stops no other.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import delete, inspect, select, tuple_

from engine.people.recipient_texts import RecipientTexts
from state.tables import AuditRecord, DryRun, FormerEntity

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from engine.kernel.runtime import Runtime

__all__ = ["PAUSE", "SLICE", "Retention"]

#: Rows of one transaction.
SLICE = 2_000
PAUSE = timedelta(hours=1)


class Retention:
    """That of one process."""

    def __init__(self) -> None:
        self._idle_until: dict[str, datetime] = {}
        texts = RecipientTexts()
        self._kinds = (
            Kind("audit", "retention_audit_days", _older(AuditRecord, AuditRecord.at)),
            Kind("dry_runs", "retention_dry_run_days", _older(DryRun, DryRun.finished_at)),
            Kind("recipients", "retention_recipient_days", texts.forget),
            Kind("former_people", "retention_former_days", _older(FormerEntity, FormerEntity.deleted_at)),
        )

    def forget(self, runtime: Runtime) -> dict[str, int]:
        """Remove a slice of each kind that has anything to remove; how many rows it was, by kind."""
        gone: dict[str, int] = {}
        now = runtime.database.clock.now()
        for kind in self._kinds:
            days: int | None = getattr(runtime.settings, kind.setting)
            if days is None or now < self._idle_until.get(kind.name, now):
                continue
            self._idle_until[kind.name] = now + PAUSE
            removed, more = kind.forget(runtime, now - timedelta(days=days), SLICE)
            if more:
                del self._idle_until[kind.name]
            if removed:
                gone[kind.name] = removed
        return gone


class Kind(NamedTuple):
    """What is removed together."""

    name: str
    setting: str
    forget: Callable[[Runtime, datetime, int], tuple[int, bool]]
    """Removes up to so many rows from before an instant; how many it was, and whether there may be more."""


def _older(table: Any, since: Any) -> Callable[[Runtime, datetime, int], tuple[int, bool]]:
    """Deletes rows of a table; `since`: the column that says how old one is; absent: it is not over."""

    def remove(runtime: Runtime, before: datetime, most: int) -> tuple[int, bool]:
        key = inspect(table).primary_key
        old = select(*key).where(since < before).order_by(since).limit(most)
        with runtime.transaction() as session:
            removed = session.execute(
                delete(table).where(tuple_(*key).in_(old)).execution_options(synchronize_session=False)
            )
            count = int(removed.rowcount)  # type: ignore[attr-defined]
        return count, count == most

    return remove
