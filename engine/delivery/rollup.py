"""Sums of deliveries by the hour (`delivery_hour`): what each touchpoint, variant and segment came to.

Promises:
- They equal a recount of the rows: a recipient that was sent to, failed or was excluded at a touchpoint is in the sum
  of the hour in which that was written down, in the same or a later transaction, and once, whatever crashes. A
  recipient that starts over is no longer failed or excluded, and is taken out of that hour: sums are of the latest
  outcomes. A recipient that is cancelled because a job was stopped is not excluded, and in none.
- They cost a delivery nothing that can be measured: one statement for each lease.

Under a lease the slice's counters count for one key at a time (`CounterKey`: touchpoint, variant, hour; all recipients
of a slice are of one segment). They are folded into the job's and the hour's sums when the lease ends, or goes on to
another place, or is taken back; what they count for stands beside them, so that a lease that is taken back can be
folded.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from sqlalchemy import Integer, Table, Uuid, bindparam, func, literal, select, true

from engine.kernel.prepared import execute
from state.dialects import dialect_of
from state.sets import insert_into
from state.tables import Channel, DeliveryHour, Job, Slice, Touchpoint
from state.transitions import AutomationStatus
from state.types import NIL_UUID

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

    from state.dialects import Dialect

__all__ = ["NO_KEY", "CounterKey", "SumKey", "add", "hour_of", "roll_up", "rolled_up"]


_NAMES = ("sent", "failed", "cancelled")
_KEY = ("campaign_id", "hour", "touchpoint_id", "variant", "target_id")


class CounterKey(NamedTuple):
    """What a slice's counters count for."""

    touchpoint_id: UUID | None
    variant: str | None
    hour: datetime | None

    def parameters(self) -> dict[str, Any]:
        """As statements take it."""
        return {"p_touchpoint_id": self.touchpoint_id, "p_variant": self.variant, "p_hour": self.hour}


class SumKey(NamedTuple):
    """Where a recipient was when it failed or was cancelled."""

    touchpoint_id: UUID | None
    variant: str
    """Empty: the touchpoint has none."""
    target_id: UUID | None


#: Nothing is counted.
NO_KEY = CounterKey(None, None, None)


def hour_of(instant: datetime) -> datetime:
    """The beginning of its hour, in UTC."""
    return instant.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def roll_up(session: Session, job_id: UUID, number: int) -> None:
    """Add what a slice has sent, failed and cancelled to the hour's sums, before it is folded away.

    The caller holds the slice and the job: of one job nobody else is here.
    """
    statement = rolled_up(dialect_of(session))
    execute(session, statement, p_job_id=job_id, p_number=number)


@cache
def rolled_up(dialect: Dialect, *, once: ColumnElement[bool] | None = None) -> Any:
    """The statement for it. Primary keys.

    Args:
        once: What must have been done before, when it is a part of another statement.
    """
    piece, job, hour = (cast("Table", table.__table__) for table in (Slice, Job, DeliveryHour))
    unfolded = {name: piece.c[name] - piece.c[f"{name}_folded"] for name in ("failed", "cancelled")}
    counted = (
        select(
            piece.c.org_id,
            job.c.campaign_id,
            piece.c.hour,
            piece.c.touchpoint_id,
            func.coalesce(piece.c.variant, ""),
            func.coalesce(piece.c.target_id, literal(NIL_UUID, Uuid())),
            piece.c.sent,
            *unfolded.values(),
            piece.c.sent * func.coalesce(_price(piece), 0.0),
        )
        .select_from(piece.join(job, job.c.id == piece.c.job_id))
        .where(
            piece.c.job_id == bindparam("p_job_id", type_=Uuid()),
            piece.c.number == bindparam("p_number", type_=Integer()),
            piece.c.touchpoint_id.is_not(None),
            piece.c.sent + unfolded["failed"] + unfolded["cancelled"] > 0,
            true() if once is None else once,
        )
    )
    given = dialect.insert(hour)
    given = given.from_select(["org_id", *_KEY, *_NAMES, "cost"], counted)
    added = {name: hour.c[name] + given.excluded[name] for name in (*_NAMES, "cost")}
    return given.on_conflict_do_update(index_elements=_KEY, set_=added)


def _price(piece: Table) -> Any:
    """What a message of a slice's touchpoint costs: of its channel, or the organization's default. Primary keys, and
    channel (org_id, id).
    """
    step, channel = (cast("Table", table.__table__) for table in (Touchpoint, Channel))
    default = channel.alias("default_channel")
    usual = (
        select(default.c.id)
        .where(default.c.org_id == piece.c.org_id)
        .order_by(default.c.is_default.desc(), default.c.created_at, default.c.id)
        .limit(1)
        .correlate(piece)
        .scalar_subquery()
    )
    return (
        select(channel.c.cost_per_message)
        .select_from(step.join(channel, channel.c.id == func.coalesce(step.c.channel_id, usual)))
        .where(step.c.id == piece.c.touchpoint_id, step.c.type == "message")
        .correlate(piece)
        .scalar_subquery()
    )


def add(
    session: Session,
    org_id: UUID,
    campaign_id: UUID,
    outcomes: Mapping[tuple[datetime, SumKey, AutomationStatus], int],
) -> None:
    """Add recipients that no lease counts to the sums of hours; a negative number takes them out again. Only failed and
    cancelled ones are summed so, and at a touchpoint: of a flow without any there is nothing to count them at.

    An hour may read below 0 while the lease that counts them there is not folded yet.

    Args:
        outcomes: The hour in which it was written down, where they were and what became of them, to how many.
    """
    summed = (AutomationStatus.FAILED, AutomationStatus.CANCELLED)
    sums: defaultdict[tuple[datetime, UUID, str, UUID], Counter[AutomationStatus]] = defaultdict(Counter)
    for (hour, at, status), count in outcomes.items():
        if at.touchpoint_id is not None and status in summed and count:
            sums[hour, at.touchpoint_id, at.variant, at.target_id or NIL_UUID][status] += count
    if not sums:
        return
    added = insert_into(session, DeliveryHour).values(
        [
            {
                "org_id": org_id,
                "campaign_id": campaign_id,
                **dict(zip(_KEY[1:], key, strict=True)),
                "sent": 0,
                **{status.value: counts[status] for status in summed},
            }
            # In one order, so that two writers never wait in a circle.
            for key, counts in sorted(sums.items(), key=str)
        ]
    )
    names = [status.value for status in summed]
    session.execute(
        added.on_conflict_do_update(
            index_elements=_KEY,
            set_={name: getattr(DeliveryHour, name) + added.excluded[name] for name in names},
        ).execution_options(synchronize_session=False)
    )
