"""The statements that carry the load, each built once per database and run with parameters.

A wave of 100 recipients costs one transaction of five of them. They are Core statements over tables, not ORM ones: at
ten thousand recipients a second the difference is a third of the time. Parameters are called `p_…`.

Recipients are addressed by job, slice and key, and by nothing else that has an index: a planner whose statistics lag
behind a million fresh rows would otherwise take the index by status, and read the whole campaign for every wave
(measured: eight times slower).

Lock order: a leased slice, its recipients, the job, ready slices.
"""

from __future__ import annotations

import typing
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ARRAY,
    Integer,
    String,
    Table,
    Text,
    Uuid,
    and_,
    any_,
    bindparam,
    case,
    cast,
    column,
    exists,
    func,
    null,
    select,
    type_coerce,
    update,
)

from engine.delivery.contact import contacted, given_up
from engine.delivery.written import execute
from state.sets import PackedArray, is_postgresql
from state.tables import Entity, Job, Organization, Recipient, Slice, Suppression, Webhook
from state.tables.audience import EVERY_CAMPAIGN
from state.transitions import AutomationStatus, JobStatus, SliceState
from state.types import UtcDateTime

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement, Connection, FromClause, Select, Update
    from sqlalchemy.orm import Session
    from sqlalchemy.types import TypeEngine

__all__ = ["NOW", "Statements", "execute", "statements"]

_slice = typing.cast("Table", Slice.__table__)
_job = typing.cast("Table", Job.__table__)
_recipient = typing.cast("Table", Recipient.__table__)
_organization = typing.cast("Table", Organization.__table__)
_entity = typing.cast("Table", Entity.__table__)
_suppression = typing.cast("Table", Suppression.__table__)
_webhook = typing.cast("Table", Webhook.__table__)


def statements(session: Session | Connection) -> Statements:
    """The statements for the session's database."""
    return _built(is_postgresql(session))


@cache
def _built(postgresql: bool) -> Statements:
    return Statements(postgresql=postgresql)


#: The transaction's instant.
NOW = bindparam("p_now", type_=UtcDateTime())
_JOB = bindparam("p_job_id", type_=Uuid())
_NUMBER = bindparam("p_number", type_=Integer())
_ORG = bindparam("p_org_id", type_=Uuid())


class Statements:
    """One database's set of them."""

    def __init__(self, *, postgresql: bool) -> None:
        self._postgresql = postgresql
        self.lease = self._lease()
        self.hold = self._hold()
        self.load = self._load()
        self.claim = self._claim(self._claimable())
        self.claim_again = self._claim(self._claimable(again=True))
        self.settle = {
            status: self._settle(status, self._recipients(), null(), null()) for status in AutomationStatus
        }
        self.settle_each = {status: self._settle_each(status) for status in AutomationStatus}
        self.land = self._land()
        self.count = self._count()
        self.next_due = self._next_due()
        self.fold = self._fold()
        self.reset = self._reset()
        self.close = self._close()
        self.wake_next = self._wake_next()
        self.suppressed = self._suppressed()

    def _lease(self) -> Update:
        """Ready and due → leased, epoch + 1, if its job runs and waits for nothing. Primary keys."""
        running = exists().where(
            _job.c.id == _JOB,
            _job.c.org_id == _ORG,
            _job.c.status == JobStatus.PROCESSING,
            _job.c.held.is_(False),
            _job.c.waits_until.is_(None) | (_job.c.waits_until <= NOW),
        )
        return (
            update(_slice)
            .where(
                *self._this_slice(),
                _slice.c.state == SliceState.READY,
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
                select(_job.c.campaign_id).where(_job.c.id == _JOB).scalar_subquery(),
                select(_job.c.pace).where(_job.c.id == _JOB).scalar_subquery(),
                self._limits_epoch(),
                _slice.c.in_progress,
                self._told(),
            )
        )

    def _told(self) -> ColumnElement[bool]:
        """Whether a webhook asks for events about single recipients. Index ix_webhook_recipients."""
        return exists().where(
            _webhook.c.org_id == _ORG, _webhook.c.active.is_(True), _webhook.c.recipients.is_(True)
        )

    def _this_slice(self) -> tuple[ColumnElement[bool], ...]:
        return (_slice.c.job_id == _JOB, _slice.c.number == _NUMBER)

    def _hold(self) -> Update:
        """Lock and renew a leased slice, count on it what this transaction is about to settle, and say how its job
        stands, whether its organization suppresses any address at all, and which limits it has. Primary keys.
        """
        return self._renew(self._counted()).returning(*self._standing())

    def _standing(self) -> tuple[ColumnElement[Any], ...]:
        """What `slices.JobState` holds."""
        job = [
            select(wanted).where(_job.c.id == _JOB).scalar_subquery().label(wanted.name)
            for wanted in (_job.c.status, _job.c.held, _job.c.waits_until)
        ]
        suppresses = exists().where(_suppression.c.org_id == _ORG).label("suppresses")
        return (*job, suppresses, self._limits_epoch().label("limits_epoch"))

    def _renew(self, counted: dict[str, Any]) -> Update:
        """Let a lease last longer, and count what was written for the place that the counters are of."""
        return (
            update(_slice)
            .where(*self._leased())
            .values(
                lease_expires_at=bindparam("p_expires_at", type_=UtcDateTime()),
                touchpoint_id=bindparam("p_touchpoint_id", type_=Uuid()),
                variant=bindparam("p_variant", type_=String()),
                hour=bindparam("p_hour", type_=UtcDateTime()),
                **counted,
            )
        )

    def _limits_epoch(self) -> ColumnElement[int]:
        return select(_organization.c.limits_epoch).where(_organization.c.id == _ORG).scalar_subquery()

    def _counted(self) -> dict[str, Any]:
        added = {
            name: _slice.c[name] + bindparam(f"p_{name}", type_=Integer())
            for name in ("success", "failed", "cancelled", "sent")
        }
        return {"in_progress": bindparam("p_in_progress", type_=Integer()), **added}

    def _leased(self) -> tuple[ColumnElement[bool], ...]:
        return (
            *self._this_slice(),
            _slice.c.lease_epoch == bindparam("p_epoch", type_=Integer()),
            _slice.c.state == SliceState.LEASED,
        )

    def _load(self, which: ColumnElement[bool] | None = None, *more: ColumnElement[Any]) -> Select[Any]:
        """Pending, due recipients of a slice with their entities, in key order; attributes as their JSON text.

        Index recipient (job_id, slice_number, entity_id), then the entity's primary key: 500 rows at most. The
        organization is compared beside the join, not in it: as a condition it offers the index by organization, which
        looks as good as the primary key while the statistics do not know the organization, and reads all of it for
        every recipient (measured with 20,000 entities: a second a slice).
        """
        entity, recipient = _entity.c, _recipient.c
        attributes = case((entity.org_id == _ORG, cast(entity.attributes, Text)))
        if which is None:
            which = recipient.automation_status == AutomationStatus.PENDING
        return (
            select(
                recipient.entity_id,
                recipient.error_code,
                attributes.label("attributes"),
                entity.title,
                entity.external_id,
                recipient.step,
                *more,
            )
            .select_from(_recipient.outerjoin(_entity, entity.id == recipient.entity_id))
            .where(*self._of_slice(), which, recipient.due_at.is_(None) | (recipient.due_at <= NOW))
            .order_by(recipient.entity_id)
        )

    def _of_slice(self) -> tuple[ColumnElement[bool], ...]:
        return (_recipient.c.job_id == _JOB, _recipient.c.slice_number == _NUMBER)

    def _recipients(self, keys: str = "p_keys") -> ColumnElement[bool]:
        """Those of `keys`."""
        return and_(*self._between(keys), self._among(_recipient.c.entity_id, keys))

    def _between(self, keys: str = "p_keys") -> tuple[ColumnElement[bool], ...]:
        """Index (job_id, slice_number, entity_id), from the first of `keys` to the last.

        Without these bounds a planner whose statistics lag behind expects a slice to be one row, takes the keys for a
        filter, and reads the whole slice for every wave, dead versions included.
        """
        key = _recipient.c.entity_id
        first, last = (bindparam(f"{keys}_{end}", type_=Uuid()) for end in ("first", "last"))
        return (*self._of_slice(), key >= first, key <= last)

    def _claimable(self, *, again: bool = False) -> ColumnElement[bool]:
        pending = _recipient.c.automation_status == AutomationStatus.PENDING
        return pending | _recipient.c.in_flight.is_(True) if again else pending

    def _claim(
        self, claimable: ColumnElement[bool], *, keys: str = "p_keys", place: Mapping[str, Any] | None = None
    ) -> Update:
        """Pending → in_progress, in flight, attempt + 1, an execution id if there is none. Index as `load`.

        Soft-deleted targets are claimed as well, to be set aside. (What SQLite 3.40 says of `IS NULL` in RETURNING is
        wrong, so the instant is returned.)
        """
        recipient = _recipient.c
        return (
            update(_recipient)
            .where(self._recipients(keys), claimable)
            .values(
                automation_status=AutomationStatus.IN_PROGRESS,
                execution_id=func.coalesce(recipient.execution_id, func.gen_random_uuid()),
                attempt=case((recipient.in_flight.is_(True), recipient.attempt), else_=recipient.attempt + 1),
                in_flight=True,
                due_at=None,
                updated_at=NOW,
                **(place or {}),
            )
            .returning(recipient.entity_id, recipient.execution_id, recipient.attempt, recipient.deleted_at)
        )

    def _settle(
        self,
        status: AutomationStatus,
        which: ColumnElement[bool],
        code: ColumnElement[Any],
        text: ColumnElement[Any],
    ) -> Update:
        """In flight → `status`. Only from in_progress: failed and cancelled may become pending as well, but not by an
        outcome of what somebody else has ended meanwhile. Index as `load`.
        """
        recipient = _recipient.c
        more: dict[str, Any] = {}
        if status == AutomationStatus.SUCCESS:
            more = {"sent_at": NOW, **contacted(_recipient)}
        elif status == AutomationStatus.FAILED:
            more = given_up()
        return (
            update(_recipient)
            .where(
                which,
                recipient.in_flight.is_(True),
                recipient.automation_status == AutomationStatus.IN_PROGRESS,
            )
            .values(
                automation_status=status,
                in_flight=False,
                attempt=recipient.attempt - bindparam("p_refund", type_=Integer()),
                due_at=bindparam("p_due_at", type_=UtcDateTime()),
                error_code=code,
                error_text=text,
                updated_at=NOW,
                **more,
            )
        )

    def _settle_each(self, status: AutomationStatus) -> Update:
        """The same, each recipient with an error of its own."""
        given = self._given()
        which = and_(*self._between(), _recipient.c.entity_id == given.c.key)
        return self._settle(status, which, given.c.code, given.c.text)

    def _given(self) -> FromClause:
        """`p_keys`, `p_codes` and `p_texts` as a table."""
        types: dict[str, TypeEngine[Any]] = {"key": Uuid(), "code": String(), "text": Text()}
        if self._postgresql:
            packings = (PackedArray(Uuid()), ARRAY(String()), ARRAY(Text()))
            arrays = [
                bindparam(f"p_{name}s", type_=packing) for name, packing in zip(types, packings, strict=True)
            ]
            return (
                func.unnest(*arrays)
                .table_valued(*(column(name, kind) for name, kind in types.items()), name="given")
                .render_derived()
            )
        # Three lists of equal length; SQLite numbers the elements of each alike.
        parts = [
            func.json_each(bindparam(f"p_{name}s", type_=String())).table_valued(
                "key", "value", name=f"g_{name}"
            )
            for name in types
        ]
        first = parts[0]
        return (
            select(
                *(
                    type_coerce(part.c.value, kind).label(name)
                    for part, (name, kind) in zip(parts, types.items(), strict=True)
                )
            )
            .select_from(first)
            .where(*(part.c.key == first.c.key for part in parts[1:]))
            .subquery("given")
        )

    def _land(self) -> Update:
        """End the flight of recipients whose status somebody else changed meanwhile; it stands. Index as `load`."""
        return (
            update(_recipient)
            .where(self._recipients(), _recipient.c.in_flight.is_(True))
            .values(in_flight=False)
        )

    def _count(self) -> Update:
        """Correct what `hold` counted, where fewer rows were settled than expected. Primary key."""
        return update(_slice).where(*self._leased()).values(**self._counted())

    def _next_due(self) -> Select[Any]:
        """How many of a slice are left, how many of them in progress, when the first is due, and when the first that is
        not due yet. Nobody is in flight. Index as `load`.
        """
        status, due_at = _recipient.c.automation_status, _recipient.c.due_at
        return select(
            func.count(),
            func.count(case((status == AutomationStatus.IN_PROGRESS, 1))),
            func.min(func.coalesce(due_at, NOW)),
            func.min(case((due_at > NOW, due_at))),
        ).where(
            *self._of_slice(), (status == AutomationStatus.PENDING) | (status == AutomationStatus.IN_PROGRESS)
        )

    def _fold(self) -> Update:
        """Move what a slice has settled into its job's counters, and say how the job stands. Primary keys.

        Locks the job's row, in which all that ends a slice takes its turn.
        """
        counted = {name: _job.c[name] + _slice.c[name] for name in ("success", "failed", "cancelled")}
        return (
            update(_job)
            .where(
                _job.c.id == _JOB,
                _job.c.org_id == _ORG,
                _slice.c.job_id == _job.c.id,
                _slice.c.number == _NUMBER,
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

    def _folded(self) -> dict[str, Any]:
        """A slice's counters once they were folded."""
        in_progress = bindparam("p_in_progress", type_=Integer())
        counters = dict.fromkeys(("success", "failed", "cancelled", "sent"), 0)
        return {"in_progress": in_progress, "in_progress_folded": in_progress, **counters}

    def _reset(self) -> Update:
        """Begin to count anew after a fold, for what is sent next. Primary key."""
        return (
            update(_slice)
            .where(*self._this_slice())
            .values(
                touchpoint_id=bindparam("p_touchpoint_id", type_=Uuid()),
                variant=bindparam("p_variant", type_=String()),
                hour=bindparam("p_hour", type_=UtcDateTime()),
                **self._folded(),
            )
        )

    def _close(self) -> Update:
        """Leased → done or ready, its counters folded away. Primary key."""
        return (
            update(_slice)
            .where(*self._leased())
            .values(
                state=bindparam("p_state", type_=String()),
                due_at=func.coalesce(bindparam("p_due_at", type_=UtcDateTime()), _slice.c.due_at),
                waits_for=bindparam("p_waits_for", type_=String()),
                lease_expires_at=None,
                lease_owner=None,
                woken_at=None,
                **self._folded(),
            )
        )

    def _wake_next(self) -> Update:
        """Mark as many ready, due slices as woken as the job's window has room for. The caller holds the job's row.

        Index ix_slice_in_flight counts what takes up room, as many rows as the window holds; ix_slice_ready (job_id,
        due_at, number) stops after the room left plus those already woken. A CTE, because PostgreSQL may run a locking
        subquery of an IN more than once, and choose more each time.
        """
        taken_up = (
            select(func.count())
            .where(_slice.c.job_id == _JOB, _slice.c.state != SliceState.DONE, _slice.c.woken_at.is_not(None))
            .scalar_subquery()
        )
        larger = func.greatest if self._postgresql else func.max
        room = larger(bindparam("p_window", type_=Integer()) - taken_up, 0)
        chosen = (
            select(_slice.c.number)
            .where(
                _slice.c.job_id == _JOB,
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
            .where(
                _slice.c.job_id == _JOB,
                _slice.c.number.in_(select(chosen.c.number)),
                _slice.c.state == SliceState.READY,
            )
            .values(woken_at=NOW)
            .returning(_slice.c.number)
        )

    def _suppressed(self) -> Select[Any]:
        """Which of some addresses must not be used, by this campaign or by any, and why. Unique key (org_id,
        channel_kind, address, campaign_id).
        """
        return select(_suppression.c.address, _suppression.c.reason).where(
            _suppression.c.org_id == _ORG,
            _suppression.c.channel_kind == bindparam("p_kind", type_=String()),
            _suppression.c.campaign_id.in_([EVERY_CAMPAIGN, bindparam("p_campaign_id", type_=Uuid())]),
            self._among(_suppression.c.address),
        )

    def _among(self, left: ColumnElement[Any], name: str = "p_ids") -> ColumnElement[bool]:
        """`left` is one of a list, which travels as one text."""
        if self._postgresql:
            return left == any_(bindparam(name, type_=PackedArray(left.type)))
        elements = func.json_each(bindparam(name, type_=String())).table_valued("value")
        return left.in_(select(type_coerce(elements.c.value, left.type)))
