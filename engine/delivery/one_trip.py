"""A wave in one round trip: settle the wave before and claim the next in a statement that is a transaction.

What `slices.hold`, `waves.settle` and `waves.claim` do in a transaction of five round trips, for the case that is
usual: a flow of one message, nothing limited, nobody refused. PostgreSQL alone: SQLite has no such statement, and no
round trips to save.

Promises, which are those of the three:
- The slice's row is locked before a recipient is written, and a lost lease writes nothing.
- What is counted on the slice is what was written, whoever changed a status meanwhile.
- Nobody is claimed for a job that was paused or cancelled, or under other limits than the caller knows.
"""

from __future__ import annotations

import typing
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Integer, and_, bindparam, cast, func, null, or_, select, union_all

from engine.delivery.moves import read_claims
from engine.delivery.recipient_statements import RecipientStatements
from engine.delivery.slice_statements import leased, renew, standing
from engine.delivery.slices import JobState, LeaseLost
from engine.delivery.waves import Run
from engine.delivery.written import execute
from state.tables import Recipient, Slice
from state.transitions import AutomationStatus, JobStatus

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from uuid import UUID

    from sqlalchemy import ColumnElement, CompoundSelect, Connection, Table
    from sqlalchemy.orm import Session

    from engine.delivery.contact import Contact
    from engine.delivery.rollup import Cell
    from engine.delivery.slices import Lease

__all__ = ["Wave", "exchange"]

_slice = typing.cast("Table", Slice.__table__)
_recipient = typing.cast("Table", Recipient.__table__)


#: How many columns say who was claimed, and which of them holds what was settled in the row about the slice.
_WHO, _SETTLED = 4, 2


class Wave(NamedTuple):
    """What an exchange came to."""

    claimed: dict[UUID, tuple[UUID | None, int]]
    """As `waves.claim` returns them."""
    settled: int
    """How many were written as delivered: fewer than were given, if somebody changed a status meanwhile."""
    state: JobState


def exchange(
    transaction: Session | Connection,
    lease: Lease,
    *,
    delivered: list[UUID] | Run,
    contact: Contact,
    wanted: list[UUID] | Run,
    limits_epoch: int,
    lasts: timedelta,
    cell: Cell,
    now: datetime,
    again: bool,
) -> Wave:
    """Renew the lease, write `delivered` as successes, and claim `wanted`.

    Args:
        transaction: Or a connection on which every statement is a transaction of its own.
        delivered: Of a run: whoever is in flight.
        contact: How `delivered` count for those who are enrolled targets.
        limits_epoch: The limits that the caller knows; under others nobody is claimed.
        cell: What the slice counts for.
        again: As `waves.claim`.

    Raises:
        LeaseLost: the epoch is not ours any more.
    """
    rows = execute(
        transaction,
        _statement(again=again, settles_run=isinstance(delivered, Run), claims_run=isinstance(wanted, Run)),
        p_org_id=lease.org_id,
        p_job_id=lease.job_id,
        p_number=lease.number,
        p_epoch=lease.epoch,
        p_expires_at=now + lasts,
        p_now=now,
        p_limits_epoch=limits_epoch,
        p_refund=0,
        p_due_at=None,
        **cell.parameters(),
        **contact.parameters(now),
        **_addressed("p_keys", delivered),
        **_addressed("p_wanted_keys", wanted),
    ).all()
    if not rows:
        raise LeaseLost(f"slice {lease.number} of job {lease.job_id}, epoch {lease.epoch}")
    *claimed, state = rows
    return Wave(
        read_claims(row[:_WHO] for row in claimed),
        state[_SETTLED],
        JobState(*state[_WHO:]),
    )


def _addressed(name: str, keys: list[UUID] | Run) -> dict[str, Any]:
    if isinstance(keys, Run):
        return {f"{name}_first": keys.first, f"{name}_last": keys.last}
    return {name: keys}


@cache
def _statement(*, again: bool, settles_run: bool, claims_run: bool) -> CompoundSelect[Any]:
    return _OneTrip(postgresql=True).exchange(again=again, settles_run=settles_run, claims_run=claims_run)


class _OneTrip(RecipientStatements):
    """Made of the same parts as the statements that it stands for."""

    def exchange(self, *, again: bool, settles_run: bool, claims_run: bool) -> CompoundSelect[Any]:
        """Lock the slice, settle, claim, count. The last row is about the slice and its job; the others are who was
        claimed. Primary keys, and index as `load`.
        """
        known = bindparam("p_limits_epoch", type_=Integer())
        ours = select(_slice.c.number, *standing()).where(*leased())
        held = ours.with_for_update(key_share=True).cte("held")
        there = select(held.c.number).exists()
        free = (
            (held.c.status == JobStatus.PROCESSING) & held.c.held.is_(False) & (held.c.limits_epoch == known)
        )
        settled = (
            self._settle(
                AutomationStatus.SUCCESS, and_(self._recipients(run=settles_run), there), null(), null()
            )
            .returning(_recipient.c.entity_id)
            .cte("settled")
        )
        may_claim = select(free).select_from(held).scalar_subquery()
        claimable = and_(self._claimable(), may_claim)
        if again:  # whom an earlier try may have claimed is ours, whatever was decided meanwhile
            claimable = or_(claimable, _recipient.c.in_flight.is_(True))
        claimed = self._claim(claimable, keys="p_wanted_keys", run=claims_run).cte("claimed")
        counts = [select(func.count()).select_from(some).scalar_subquery() for some in (settled, claimed)]
        tally = select(counts[0].label("written"), counts[1].label("going")).cte("tally")  # counted once
        written, going = (select(count).scalar_subquery() for count in tally.c)
        counted = {
            "success": _slice.c.success + written,
            "sent": _slice.c.sent + written,
            "in_progress": going,
        }
        renewed = renew(counted).returning(_slice.c.number).cte("renewed")
        state = [held.c[name] for name in ("status", "held", "waits_until", "suppresses", "limits_epoch")]
        people = select(*claimed.c, *(cast(null(), column.type) for column in state))
        blank: list[ColumnElement[Any]] = [cast(null(), column.type) for column in claimed.c]
        blank[_SETTLED] = written
        about = select(*blank, *state)
        return union_all(people, about.select_from(held.join(renewed, renewed.c.number == held.c.number)))
