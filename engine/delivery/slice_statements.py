"""What a lease and its counters need: slices and their job, never a recipient. All by primary key, but for
`wake_next`.
"""

from __future__ import annotations

import typing
from typing import TYPE_CHECKING, Any

from sqlalchemy import Integer, String, Table, Uuid, bindparam, exists, func, select, update

from engine.kernel.statements import JOB, NOW, NUMBER, ORG, Statements
from state.change import sources_of
from state.dialects.postgresql import PackedArray
from state.tables import Campaign, Job, Organization, Slice, Suppression, TopicOptOut, Webhook
from state.transitions import SLICE, JobStatus, SliceState
from state.types import UtcDateTime

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement, Select, Update

    from state.dialects import Dialect

__all__ = ["SETTLED", "SliceStatements", "counted", "leased", "renew", "standing"]

#: Counters of a slice that a lease adds to.
SETTLED = ("success", "failed", "cancelled", "sent")

_slice = typing.cast("Table", Slice.__table__)
_campaign = typing.cast("Table", Campaign.__table__)
_job = typing.cast("Table", Job.__table__)
_organization = typing.cast("Table", Organization.__table__)
_suppression = typing.cast("Table", Suppression.__table__)
_opt_out = typing.cast("Table", TopicOptOut.__table__)
_webhook = typing.cast("Table", Webhook.__table__)


class SliceStatements(Statements):
    """One database's set of them."""

    def __init__(self, dialect: Dialect) -> None:
        super().__init__(dialect)
        self.lease = self._lease()
        self.claimed = self._claimed()
        self.renew = self._renew()
        self.count = self._count()
        self.fold = self._fold()
        self.reset = self._reset()
        self.close = {state: self._close(state) for state in (SliceState.READY, SliceState.DONE)}
        self.wake_next = self._wake_next()

    def _lease(self) -> Update:
        """Ready and due → leased, epoch + 1, if its job runs and waits for nothing. Primary keys."""
        running = exists().where(
            _job.c.id == JOB,
            _job.c.org_id == ORG,
            _job.c.status == JobStatus.PROCESSING,
            _job.c.held.is_(False),
            _job.c.waits_until.is_(None) | (_job.c.waits_until <= NOW),
        )
        return (
            update(_slice)
            .where(
                *_this_slice(),
                _may_become(SliceState.LEASED),
                _slice.c.due_at <= NOW,
                running,
            )
            .values(
                state=SliceState.LEASED,
                lease_epoch=_slice.c.lease_epoch + 1,
                lease_expires_at=bindparam("p_expires_at", type_=UtcDateTime()),
                lease_owner=bindparam("p_owner", type_=String()),
                woken_at=NOW,
            )
            .returning(
                _slice.c.lease_epoch,
                select(_job.c.campaign_id).where(_job.c.id == JOB).scalar_subquery().label("campaign_id"),
                select(_job.c.pace).where(_job.c.id == JOB).scalar_subquery().label("pace"),
                _limits_epoch().label("limits_epoch"),
                _slice.c.in_progress,
                _emits_recipient_events().label("emits_recipient_events"),
                _slice.c.size,
                *(
                    select(wanted)
                    .where(
                        _campaign.c.id == select(_job.c.campaign_id).where(_job.c.id == JOB).scalar_subquery()
                    )
                    .scalar_subquery()
                    .label(wanted.name)
                    for wanted in (_campaign.c.one_per_address, _campaign.c.topic_id)
                ),
            )
        )

    def _claimed(self) -> Select[Any]:
        """Lock a leased slice, and say whom its lease has on the wire. Primary key."""
        return select(_slice.c.claimed).where(*leased()).with_for_update(key_share=True)

    def _renew(self) -> Update:
        """Lock and renew a leased slice, write on it what this transaction is about to settle and whom it leaves on the
        wire, and say how its job stands, whether its organization suppresses any address at all, and which limits it
        has. Primary keys.
        """
        return renew(self._counted()).returning(*standing())

    def _count(self) -> Update:
        """Correct what `renew` wrote, where other rows were claimed or settled than expected. Primary key."""
        return update(_slice).where(*leased()).values(**self._counted())

    def _counted(self) -> dict[str, Any]:
        claimed = bindparam("p_claimed", type_=PackedArray(Uuid()) if self._postgresql else String())
        return counted(
            {name: bindparam(f"p_{name}", type_=Integer()) for name in SETTLED},
            in_progress=bindparam("p_in_progress", type_=Integer()),
            claimed=claimed,
            claimed_step=bindparam("p_claimed_step", type_=Integer()),
        )

    def _fold(self) -> Update:
        """Move what a slice has settled into its job's counters, and say how the job stands. Primary keys.

        Locks the job's row, in which all that ends a slice takes its turn.
        """
        counted = {
            name: _job.c[name] + _slice.c[name] - _slice.c[f"{name}_folded"]
            for name in ("success", "failed", "cancelled")
        }
        return (
            update(_job)
            .where(
                _job.c.id == JOB,
                _job.c.org_id == ORG,
                _slice.c.job_id == _job.c.id,
                _slice.c.number == NUMBER,
            )
            .values(
                slices_done=_job.c.slices_done + bindparam("p_done", type_=Integer()),
                in_progress=_job.c.in_progress
                + bindparam("p_in_progress", type_=Integer())
                - _slice.c.in_progress_folded,
                updated_at=NOW,
                **counted,
            )
            .returning(
                _job.c.status,
                _job.c.held,
                _job.c.waits_until,
                func.coalesce(_job.c.pace, _job.c.window).label("window"),
                (_job.c.planned & (_job.c.slices_done == _job.c.slices_total)).label("over"),
            )
        )

    def _reset(self) -> Update:
        """Note what a fold has counted, and what is sent next. Primary key."""
        return (
            update(_slice)
            .where(*_this_slice())
            .values(
                touchpoint_id=bindparam("p_touchpoint_id", type_=Uuid()),
                variant=bindparam("p_variant", type_=String()),
                hour=bindparam("p_hour", type_=UtcDateTime()),
                **_folded(),
            )
        )

    def _close(self, state: SliceState) -> Update:
        """Leased → done or ready, its counters folded away. Primary key."""
        return (
            update(_slice)
            .where(*leased(), _may_become(state))
            .values(
                state=state,
                due_at=func.coalesce(bindparam("p_due_at", type_=UtcDateTime()), _slice.c.due_at),
                waits_for=bindparam("p_waits_for", type_=String()),
                lease_expires_at=None,
                lease_owner=None,
                claimed=None,
                claimed_step=None,
                woken_at=None,
                **_folded(),
            )
        )

    def _wake_next(self) -> Update:
        """Mark as many ready, due slices as woken as the job's window has room for. The caller holds the job's row.

        Index ix_slice_in_flight counts what takes up room, as many rows as the window holds; ix_slice_ready (job_id,
        due_at, number) stops after the room left plus those already woken; those chosen, which are locked, are written
        by primary key: named as ready once more, every ready slice of the job was read for them. A CTE, because
        PostgreSQL may run a locking subquery of an IN more than once, and choose more each time.
        """
        taken_up = (
            select(func.count())
            .where(_slice.c.job_id == JOB, _slice.c.state != SliceState.DONE, _slice.c.woken_at.is_not(None))
            .scalar_subquery()
        )
        larger = func.greatest if self._postgresql else func.max
        room = larger(bindparam("p_window", type_=Integer()) - taken_up, 0)
        chosen = (
            select(_slice.c.number)
            .where(
                _slice.c.job_id == JOB,
                _slice.c.state == SliceState.READY,
                _slice.c.woken_at.is_(None),
                _slice.c.due_at <= NOW,
            )
            .order_by(_slice.c.due_at, _slice.c.number)
            .limit(room)
            .with_for_update(skip_locked=True)
            .cte("chosen")
        )
        return (
            update(_slice)
            .where(_slice.c.job_id == JOB, _slice.c.number.in_(select(chosen.c.number)))
            .values(woken_at=NOW)
            .returning(_slice.c.number)
        )


def standing() -> tuple[ColumnElement[Any], ...]:
    """What `slices.JobState` holds."""
    job = [
        select(wanted).where(_job.c.id == JOB).scalar_subquery().label(wanted.name)
        for wanted in (_job.c.status, _job.c.held, _job.c.waits_until)
    ]
    listed, opted_out = (exists().where(table.c.org_id == ORG) for table in (_suppression, _opt_out))
    suppresses = (listed | opted_out).label("suppresses")
    return (*job, suppresses, _limits_epoch().label("limits_epoch"))


def renew(counted: dict[str, Any]) -> Update:
    """Let a lease last longer, and count what was written for the place that the counters are of."""
    return (
        update(_slice)
        .where(*leased())
        .values(
            lease_expires_at=bindparam("p_expires_at", type_=UtcDateTime()),
            touchpoint_id=bindparam("p_touchpoint_id", type_=Uuid()),
            variant=bindparam("p_variant", type_=String()),
            hour=bindparam("p_hour", type_=UtcDateTime()),
            **counted,
        )
    )


def leased() -> tuple[ColumnElement[bool], ...]:
    """The slice's row under a lease that is still its own."""
    return (
        *_this_slice(),
        _slice.c.lease_epoch == bindparam("p_epoch", type_=Integer()),
        _STATE == SliceState.LEASED,
    )


#: The state of a slice that is named by its key: said so that PostgreSQL takes it by that key. It would rather read a
#: small index on all that are in that state, with what they left there each time they were renewed.
_STATE = func.coalesce(_slice.c.state, "")


def _may_become(state: SliceState) -> ColumnElement[bool]:
    return sources_of(SLICE, state, column=_STATE)


def _this_slice() -> tuple[ColumnElement[bool], ...]:
    return (_slice.c.job_id == JOB, _slice.c.number == NUMBER)


def _limits_epoch() -> ColumnElement[int]:
    return select(_organization.c.limits_epoch).where(_organization.c.id == ORG).scalar_subquery()


def counted(added: Mapping[str, Any], **are: Any) -> dict[str, Any]:
    """What a transaction of a lease writes on its slice.

    Args:
        added: What is added to the counters of `SETTLED`.
        are: What `in_progress`, `claimed` and `claimed_step` are when it ends.
    """
    return {**{name: _slice.c[name] + change for name, change in added.items()}, **are}


def _folded() -> dict[str, Any]:
    """A slice's counters once they were folded."""
    in_progress = bindparam("p_in_progress", type_=Integer())
    folded = {f"{name}_folded": _slice.c[name] for name in ("success", "failed", "cancelled")}
    return {"in_progress": in_progress, "in_progress_folded": in_progress, "sent": 0, **folded}


def _emits_recipient_events() -> ColumnElement[bool]:
    """Whether a webhook asks for events about single recipients. Index ix_webhook_recipients."""
    return exists().where(
        _webhook.c.org_id == ORG, _webhook.c.active.is_(True), _webhook.c.recipients.is_(True)
    )
