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
    any_,
    bindparam,
    case,
    column,
    exists,
    func,
    null,
    select,
    type_coerce,
    update,
)

from state.sets import PackedArray, is_postgresql, literal_array, packed
from state.tables import Entity, Job, Recipient, Slice, Suppression
from state.transitions import AUTOMATION, AutomationStatus, SliceState
from state.types import UtcDateTime

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Executable, FromClause, Select, Update
    from sqlalchemy.orm import Session
    from sqlalchemy.types import TypeEngine

__all__ = ["Statements", "execute", "statements"]

_slice = typing.cast("Table", Slice.__table__)
_job = typing.cast("Table", Job.__table__)
_recipient = typing.cast("Table", Recipient.__table__)
_entity = typing.cast("Table", Entity.__table__)
_suppression = typing.cast("Table", Suppression.__table__)


def execute(session: Session, statement: Executable, **parameters: Any) -> Any:
    """Run a load-carrying statement in the session's transaction; returns its cursor result.

    Sets are given as lists, whatever the database.
    """
    pack = literal_array if is_postgresql(session) else packed
    if "p_ids" in parameters:
        parameters["p_ids"] = pack(parameters["p_ids"])
    elif pack is packed:
        parameters = {
            key: packed(value) if isinstance(value, list) else value for key, value in parameters.items()
        }
    return session.connection().execute(statement, parameters)


def statements(session: Session) -> Statements:
    """The statements for the session's database."""
    return _built(is_postgresql(session))


@cache
def _built(postgresql: bool) -> Statements:
    return Statements(postgresql=postgresql)


_NOW = bindparam("p_now", type_=UtcDateTime())
_JOB = bindparam("p_job_id", type_=Uuid())
_NUMBER = bindparam("p_number", type_=Integer())
_ORG = bindparam("p_org_id", type_=Uuid())


class Statements:
    """One database's set of them."""

    def __init__(self, *, postgresql: bool) -> None:
        self._postgresql = postgresql
        self.hold = self._hold()
        self.load = self._load()
        self.claim = self._claim(_recipient.c.automation_status == AutomationStatus.PENDING)
        self.claim_again = self._claim(
            (_recipient.c.automation_status == AutomationStatus.PENDING) | _recipient.c.in_flight.is_(True)
        )
        self.settle = {
            status: self._settle(status, self._among(_recipient.c.entity_id), null(), null())
            for status in AutomationStatus
        }
        self.settle_each = {status: self._settle_each(status) for status in AutomationStatus}
        self.land = self._land()
        self.count = self._count()
        self.next_due = self._next_due()
        self.suppressed = self._suppressed()

    def _hold(self) -> Update:
        """Lock and renew a leased slice, count on it what this transaction is about to settle, and say how its job
        stands and whether its organization suppresses any address at all. Primary keys.
        """
        job = [
            select(wanted).where(_job.c.id == _JOB).scalar_subquery()
            for wanted in (_job.c.status, _job.c.held, _job.c.waits_until)
        ]
        suppresses = exists().where(_suppression.c.org_id == _ORG)
        return (
            update(_slice)
            .where(*self._leased())
            .values(lease_expires_at=bindparam("p_expires_at", type_=UtcDateTime()), **self._counted())
            .returning(*job, suppresses)
        )

    def _counted(self) -> dict[str, Any]:
        added = {
            name: _slice.c[name] + bindparam(f"p_{name}", type_=Integer())
            for name in ("success", "failed", "cancelled")
        }
        return {"in_progress": bindparam("p_in_flight", type_=Integer()), **added}

    def _leased(self) -> tuple[ColumnElement[bool], ...]:
        return (
            _slice.c.job_id == _JOB,
            _slice.c.number == _NUMBER,
            _slice.c.lease_epoch == bindparam("p_epoch", type_=Integer()),
            _slice.c.state == SliceState.LEASED,
        )

    def _load(self) -> Select[Any]:
        """Pending, due recipients of a slice with their entities, in key order.

        Index recipient (job_id, slice_number, entity_id), then the entity's primary key: 500 rows at most.
        """
        entity, recipient = _entity.c, _recipient.c
        return (
            select(
                recipient.entity_id,
                recipient.error_code,
                entity.attributes,
                entity.title,
                entity.external_id,
                entity.id.label("known"),
            )
            .select_from(
                _recipient.outerjoin(_entity, (entity.id == recipient.entity_id) & (entity.org_id == _ORG))
            )
            .where(
                *self._of_slice(),
                recipient.automation_status == AutomationStatus.PENDING,
                recipient.due_at.is_(None) | (recipient.due_at <= _NOW),
            )
            .order_by(recipient.entity_id)
        )

    def _of_slice(self) -> tuple[ColumnElement[bool], ...]:
        return (_recipient.c.job_id == _JOB, _recipient.c.slice_number == _NUMBER)

    def _claim(self, claimable: ColumnElement[bool]) -> Update:
        """Pending → in_progress, in flight, attempt + 1, an execution id if there is none. Index as `load`."""
        recipient = _recipient.c
        return (
            update(_recipient)
            .where(
                self._among(recipient.entity_id),
                *self._of_slice(),
                claimable,
            )
            .values(
                automation_status=AutomationStatus.IN_PROGRESS,
                execution_id=func.coalesce(recipient.execution_id, func.gen_random_uuid()),
                attempt=case((recipient.in_flight.is_(True), recipient.attempt), else_=recipient.attempt + 1),
                in_flight=True,
                due_at=None,
                updated_at=_NOW,
            )
            .returning(recipient.entity_id, recipient.execution_id, recipient.attempt)
        )

    def _settle(
        self,
        status: AutomationStatus,
        which: ColumnElement[bool],
        code: ColumnElement[Any],
        text: ColumnElement[Any],
    ) -> Update:
        """In flight → `status`, where the table of transitions allows it. Index as `load`."""
        recipient = _recipient.c
        return (
            update(_recipient)
            .where(
                which,
                *self._of_slice(),
                recipient.in_flight.is_(True),
                recipient.automation_status.in_(sorted(AUTOMATION.sources(status))),
            )
            .values(
                automation_status=status,
                in_flight=False,
                attempt=recipient.attempt - bindparam("p_refund", type_=Integer()),
                due_at=bindparam("p_due_at", type_=UtcDateTime()),
                error_code=code,
                error_text=text,
                updated_at=_NOW,
            )
        )

    def _settle_each(self, status: AutomationStatus) -> Update:
        """The same, each recipient with an error of its own."""
        given = self._given()
        return self._settle(
            status, _recipient.c.entity_id == given.c.entity_id, given.c.error_code, given.c.error_text
        )

    def _given(self) -> FromClause:
        types: dict[str, TypeEngine[Any]] = {
            "entity_id": Uuid(),
            "error_code": String(),
            "error_text": Text(),
        }
        if self._postgresql:
            arrays = [bindparam(f"p_{name}s", type_=ARRAY(kind)) for name, kind in types.items()]
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
            .where(
                self._among(_recipient.c.entity_id),
                *self._of_slice(),
                _recipient.c.in_flight.is_(True),
            )
            .values(in_flight=False)
        )

    def _count(self) -> Update:
        """Correct what `hold` counted, where fewer rows were settled than expected. Primary key."""
        return update(_slice).where(*self._leased()).values(**self._counted())

    def _next_due(self) -> Select[Any]:
        """How many recipients of a slice are pending, and when the first is due. Index as `load`."""
        return select(func.count(), func.min(func.coalesce(_recipient.c.due_at, _NOW))).where(
            *self._of_slice(), _recipient.c.automation_status == AutomationStatus.PENDING
        )

    def _suppressed(self) -> Select[Any]:
        """Which of some addresses must not be used, and why. Unique key (org_id, channel_kind, address)."""
        return select(_suppression.c.address, _suppression.c.reason).where(
            _suppression.c.org_id == _ORG,
            _suppression.c.channel_kind == bindparam("p_kind", type_=String()),
            self._among(_suppression.c.address),
        )

    def _among(self, left: ColumnElement[Any]) -> ColumnElement[bool]:
        """`left` is one of `p_ids`, which travel as one text."""
        if self._postgresql:
            return left == any_(bindparam("p_ids", type_=PackedArray(left.type)))
        elements = func.json_each(bindparam("p_ids", type_=String())).table_valued("value")
        return left.in_(select(type_coerce(elements.c.value, left.type)))
