"""What a wave needs: load a slice's recipients, claim some, settle some, and count who is left."""

from __future__ import annotations

import typing
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
    func,
    null,
    select,
    true,
    type_coerce,
    update,
)

from engine.delivery.contact import contacted, given_up
from engine.delivery.statements import JOB, NOW, NUMBER, ORG, Statements, looked_up
from state.change import sources_of
from state.sets import PackedArray
from state.tables import Entity, Recipient, Suppression
from state.tables.audience import EVERY_CAMPAIGN
from state.transitions import AUTOMATION, AutomationStatus
from state.types import UtcDateTime

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement, FromClause, Select, Update
    from sqlalchemy.types import TypeEngine

__all__ = ["RecipientStatements"]

_recipient = typing.cast("Table", Recipient.__table__)
_entity = typing.cast("Table", Entity.__table__)
_suppression = typing.cast("Table", Suppression.__table__)


class RecipientStatements(Statements):
    """One database's set of them."""

    def __init__(self, *, postgresql: bool) -> None:
        super().__init__(postgresql=postgresql)
        self.load = self._load()
        self.reload = self._reload()
        self.claim = self._claim(self._claimable())
        self.claim_again = self._claim(self._claimable(again=True))
        self.settle = {
            status: self._settle(status, self._recipients(), null(), null()) for status in AutomationStatus
        }
        self.settle_each = {status: self._settle_each(status) for status in AutomationStatus}
        self.land = self._land()
        self.next_due = self._next_due()
        self.suppressed = self._suppressed()

    def _load(self, which: ColumnElement[bool] | None = None, *more: ColumnElement[Any]) -> Select[Any]:
        """Pending, due recipients of a slice with their entities, in key order; attributes as their JSON text.

        Index recipient (job_id, slice_number, entity_id), then the entity's primary key: 500 rows at most. The
        organization is compared beside the join, not in it: as a condition it offers the index by organization, which
        looks as good as the primary key while the statistics do not know the organization, and reads all of it for
        every recipient (measured with 20,000 entities: a second a slice).
        """
        people = self._people()
        entity, recipient = people.c, _recipient.c
        attributes = case((entity.org_id == ORG, cast(entity.attributes, Text)))
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
            .select_from(_recipient.outerjoin(people, entity.id == recipient.entity_id))
            .where(*self._of_slice(), which, recipient.due_at.is_(None) | (recipient.due_at <= NOW))
            .order_by(recipient.entity_id)
        )

    def _reload(self) -> Select[Any]:
        """Entities as they are now: those of `p_ids` that are still there, whether they are the organization's, and
        attributes of those that may have changed since `p_since`. Primary key; the organization as `load`.

        PostgreSQL is told to look each up: of a table that has just grown it expects so little that it reads all of it
        (measured with 15,000 entities: 3 ms a wave, not 0.3).
        """
        if not self._postgresql:
            return select(*_reloaded(_entity)).where(self._among(_entity.c.id))
        given = looked_up("p_ids", Uuid())
        people = select(_entity).where(_entity.c.id == given.c.key).offset(0).lateral("entity")
        return select(*_reloaded(people)).select_from(given.join(people, true()))

    def _people(self) -> FromClause:
        """Entities, to be joined by key. PostgreSQL is told to look each up: when its statistics are from the first
        moments of a plan it expects a slice to be thousands, and reads every entity of the database for it (measured
        with 200,000: fifty times slower).
        """
        if not self._postgresql:
            return _entity
        wanted = (_entity.c[name] for name in ("id", "org_id", "attributes", "title", "external_id"))
        return select(*wanted).where(_entity.c.id == _recipient.c.entity_id).offset(0).lateral("entity")

    def _of_slice(self) -> tuple[ColumnElement[bool], ...]:
        return (_recipient.c.job_id == JOB, _recipient.c.slice_number == NUMBER)

    def _recipients(self, keys: str = "p_keys", *, run: bool = False) -> ColumnElement[bool]:
        """Those of `keys`, or all that a run of them comes to. (For PostgreSQL to look each of them up is a tenth more
        work, and to compare every row with a hundred keys a few per cent.)
        """
        if run:
            return and_(*self._between(keys))
        among = self._among(_recipient.c.entity_id, keys)
        return and_(*self._between(keys), among.is_(True) if self._postgresql else among)

    def _between(self, keys: str = "p_keys") -> tuple[ColumnElement[bool], ...]:
        """Index (job_id, slice_number, entity_id), from the first of `keys` to the last.

        Without these bounds a planner whose statistics lag behind expects a slice to be one row, takes the keys for a
        filter, and reads the whole slice for every wave, dead versions included.
        """
        key = _recipient.c.entity_id
        first, last = (bindparam(f"{keys}_{end}", type_=Uuid()) for end in ("first", "last"))
        return (*self._of_slice(), key >= first, key <= last)

    def _claimable(self, *, again: bool = False) -> ColumnElement[bool]:
        claimable = sources_of(AUTOMATION, AutomationStatus.IN_PROGRESS)
        return claimable | _recipient.c.in_flight.is_(True) if again else claimable

    def _claim(
        self,
        claimable: ColumnElement[bool],
        *,
        keys: str = "p_keys",
        run: bool = False,
        place: Mapping[str, Any] | None = None,
    ) -> Update:
        """Pending → in_progress, in flight, attempt + 1, an execution id if there is none. Index as `load`.

        Soft-deleted targets are claimed as well, to be set aside. (What SQLite 3.40 says of `IS NULL` in RETURNING is
        wrong, so the instant is returned.)
        """
        recipient = _recipient.c
        return (
            update(_recipient)
            .where(self._recipients(keys, run=run), claimable)
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
        """In flight → `status`, or still in_progress, for who is tried again between two touchpoints. Only from
        in_progress: failed and cancelled may become pending as well, but not by an outcome of what somebody else has
        ended meanwhile. Index as `load`.
        """
        recipient = _recipient.c
        begun = AutomationStatus.IN_PROGRESS
        movable = sources_of(AUTOMATION, status, only_from=[begun])
        if status == begun:
            movable = recipient.automation_status == begun
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
                movable,
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

    def _suppressed(self) -> Select[Any]:
        """Which of some addresses must not be used, by this campaign or by any, of which medium, and why. Unique key
        (org_id, address, medium, campaign_id).
        """
        return select(_suppression.c.medium, _suppression.c.address, _suppression.c.reason).where(
            _suppression.c.org_id == ORG,
            _suppression.c.campaign_id.in_([EVERY_CAMPAIGN, bindparam("p_campaign_id", type_=Uuid())]),
            self._among(_suppression.c.address),
        )

    def _among(self, left: ColumnElement[Any], name: str = "p_ids") -> ColumnElement[bool]:
        """`left` is one of a list, which travels as one text."""
        if self._postgresql:
            return left == any_(bindparam(name, type_=PackedArray(left.type)))
        elements = func.json_each(bindparam(name, type_=String())).table_valued("value")
        return left.in_(select(type_coerce(elements.c.value, left.type)))


def _reloaded(people: FromClause) -> tuple[ColumnElement[Any], ...]:
    entity = people.c
    changed = entity.updated_at > bindparam("p_since", type_=UtcDateTime())
    attributes = case(((entity.org_id == ORG) & changed, cast(entity.attributes, Text)))
    return (entity.id, entity.org_id == ORG, attributes, entity.title, entity.external_id)
