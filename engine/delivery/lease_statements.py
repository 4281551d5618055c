"""The statements of a lease: load a slice's recipients, see who may be claimed, complete some, and count what remains.

Every one of them addresses recipients by job, slice and key, and runs on a wave, or on a slice at most, by the index
(job_id, slice_number, entity_id). `RecipientStatements` serves a flow of one message, `SequenceStatements` what a flow
of several touchpoints needs beside: those are compare-and-sets on where the recipients are (`p_from`), so that one that
is repeated, because nobody knows whether its commit happened, moves nobody twice.

A claim writes no recipient: it is read here who may be claimed, and written on the slice that they are
(`slice_statements.renew`). Their rows are written once, with the outcome: what it is, the attempt that it ended, the
execution's id, and in a sequence the touchpoint that they were claimed for (`p_at`).

An execution's id is a hash of what makes it one (`_execution_id`): no statement here draws anything, so that one that
is run twice, or on several nodes of a distributed PostgreSQL, writes the same.
"""

from __future__ import annotations

import typing
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import (
    ARRAY,
    Integer,
    String,
    Table,
    Text,
    Uuid,
    and_,
    bindparam,
    case,
    cast,
    column,
    false,
    func,
    insert,
    literal,
    literal_column,
    null,
    or_,
    select,
    true,
    type_coerce,
    union_all,
    update,
)

from engine.delivery.slice_statements import counted, leased, renew, standing
from engine.engagement.stages import moved_to
from engine.kernel.statements import JOB, NOW, NUMBER, ORG, Statements, looked_up
from engine.limits.effective import PUT_BACK
from state.change import sources_of
from state.dialects import PostgreSQL
from state.dialects.postgresql import PackedArray
from state.execution_ids import execution_id_of
from state.tables import Entity, Execution, Organization, Recipient, Slice
from state.transitions import AUTOMATION, AutomationStatus, JobStatus, TargetStage
from state.types import UtcDateTime

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import ColumnElement, CompoundSelect, FromClause, Insert, Select, Update
    from sqlalchemy.types import TypeEngine

    from state.dialects import Dialect

__all__ = [
    "SKIPPED",
    "UNSETTLED",
    "ClaimRow",
    "LoadRow",
    "RecipientStatements",
    "SequenceStatements",
    "WaveRow",
    "complete_and_claim_statement",
]

#: The status, in the history, of an execution that a touchpoint's condition did not let through.
SKIPPED = "skipped"

_recipient = typing.cast("Table", Recipient.__table__)
_entity = typing.cast("Table", Entity.__table__)
_execution = typing.cast("Table", Execution.__table__)
_organization = typing.cast("Table", Organization.__table__)
_slice = typing.cast("Table", Slice.__table__)

_FROM = bindparam("p_from", type_=Uuid())
_TO = bindparam("p_touchpoint_id", type_=Uuid())
_AT = bindparam("p_at", type_=Uuid())
_AT_STEP = bindparam("p_at_step", type_=Integer())
_STEP = bindparam("p_step", type_=Integer())
_VARIANT = bindparam("p_variant", type_=String())
_DUE_AT = bindparam("p_due_at", type_=UtcDateTime())

#: Statuses that a recipient may be claimed in, and an outcome may end.
_OPEN = (AutomationStatus.PENDING, AutomationStatus.IN_PROGRESS)
_PENDING = _recipient.c.automation_status == AutomationStatus.PENDING
UNSETTLED = or_(*(_recipient.c.automation_status == status for status in _OPEN))


class LoadRow(NamedTuple):
    """A recipient as `load` finds it; `load` of a sequence has more columns behind these."""

    entity_id: UUID
    error_code: str | None
    attributes: str | None
    """As JSON; None: there is no such entity."""
    title: str
    external_id: str | None
    step: int


class ClaimRow(NamedTuple):
    """A recipient that may be claimed."""

    entity_id: UUID
    execution_id: UUID
    attempt: int
    """Which one this is: 1, 2, …"""
    deleted_at: datetime | None
    """The target was soft-deleted then."""


class WaveRow(NamedTuple):
    """What `complete_and_claim` returns: a row for each recipient that was claimed, and a last one, without them, about
    the slice and its job.
    """

    entity_id: UUID
    execution_id: UUID
    attempt: int
    deleted_at: datetime | None
    completed: int
    status: str
    held: bool
    waits_until: datetime | None
    suppresses: bool
    limits_epoch: int


class RecipientStatements(Statements):
    """One database's set of them."""

    def __init__(self, dialect: Dialect) -> None:
        super().__init__(dialect)
        self.load = self._load()
        self.reload = self._reload()
        self.claimable = self._claimable(_PENDING)
        self.complete = {
            status: self._complete(status, self._recipients(), null(), null()) for status in AutomationStatus
        }
        self.complete_each = {status: self._complete_each(status) for status in AutomationStatus}
        self.remaining = self._remaining()

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
            which = _PENDING
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
            .where(
                *self._of_slice(),
                which,
                recipient.due_at.is_(None) | (recipient.due_at <= NOW) | _limits_changed_since(),
            )
            .order_by(recipient.entity_id)
        )

    def _reload(self) -> Select[Any]:
        """Entities as they are now: those of `p_ids` that are still there, whether they are the organization's, and
        attributes of those that may have changed since `p_since`. Primary key; the organization as `load`.

        PostgreSQL is made to look each up: of a table that has just grown it expects so little that it reads all of it
        (measured with 15,000 entities: 3 ms a wave, not 0.3).
        """
        if not self._postgresql:
            return select(*_reloaded(_entity)).where(self._among(_entity.c.id))
        given = looked_up("p_ids", Uuid())
        people = select(_entity).where(_entity.c.id == given.c.key).offset(0).lateral("entity")
        return select(*_reloaded(people)).select_from(given.join(people, true()))

    def _people(self) -> FromClause:
        """Entities, to be joined by key. PostgreSQL is made to look each up: when its statistics are from the first
        moments of a plan it expects a slice to be thousands, and reads every entity of the database for it (measured
        with 200,000: fifty times slower).
        """
        if not self._postgresql:
            return _entity
        wanted = (_entity.c[name] for name in ("id", "org_id", "attributes", "title", "external_id"))
        return select(*wanted).where(_entity.c.id == _recipient.c.entity_id).offset(0).lateral("entity")

    def _of_slice(self) -> tuple[ColumnElement[bool], ...]:
        return (_recipient.c.job_id == JOB, _recipient.c.slice_number == NUMBER)

    def _recipients(self, keys: str = "p_keys", *, in_range: bool = False) -> ColumnElement[bool]:
        """Those of `keys`, or all between the first and the last of them. (For PostgreSQL to look each of them up is a
        tenth more work, and to compare every row with a hundred keys a few per cent.)
        """
        if in_range:
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

    def _claimable(
        self,
        which: ColumnElement[bool],
        *place: ColumnElement[Any],
        keys: str = "p_keys",
        in_range: bool = False,
    ) -> Select[Any]:
        """Those of `which` that nobody has moved since they were loaded, as `ClaimRow`. The caller holds the slice, as
        others that move them do. Index as `load`.

        Args:
            place: Of a sequence: the touchpoint that they are claimed for.

        Soft-deleted targets are claimed as well, to be set aside.
        """
        recipient = _recipient.c
        return select(
            recipient.entity_id,
            self.current_execution_id(*place).label("execution_id"),
            (recipient.attempt + 1).label("attempt"),
            recipient.deleted_at,
        ).where(self._recipients(keys, in_range=in_range), which)

    def _complete(
        self,
        status: AutomationStatus,
        which: ColumnElement[bool],
        code: ColumnElement[Any],
        text: ColumnElement[Any],
    ) -> Update:
        """An outcome of recipients that were claimed → their rows. One whose status somebody changed meanwhile is over,
        or is in this slice no more, and is left as it is. A recipient that is tried again stays pending, or in_progress
        between two touchpoints. Index as `load`.
        """
        recipient = _recipient.c
        more: dict[str, Any] = {"automation_status": status}
        movable = sources_of(AUTOMATION, status, only_from=_OPEN)
        if status in _OPEN:
            more, movable = {}, recipient.automation_status == status
        elif status == AutomationStatus.SUCCESS:
            more |= {"sent_at": NOW, **_contacted()}
        elif status == AutomationStatus.FAILED:
            more |= _given_up()
        return (
            update(_recipient)
            .where(which, movable)
            .values(
                attempt=recipient.attempt + bindparam("p_spent", type_=Integer()),
                due_at=bindparam("p_due_at", type_=UtcDateTime()),
                error_code=code,
                error_text=text,
                updated_at=NOW,
                **self._claimed_place(),
                **more,
            )
        )

    def _claimed_place(self) -> dict[str, ColumnElement[Any]]:
        """The columns that say what a claim was for."""
        return {"execution_id": self.current_execution_id()}

    def _complete_each(self, status: AutomationStatus) -> Update:
        """The same, each recipient with an error of its own."""
        given = self._given()
        which = and_(*self._between(), _recipient.c.entity_id == given.c.key)
        return self._complete(status, which, given.c.code, given.c.text)

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

    def _remaining(self) -> Select[Any]:
        """How many of a slice are left, how many of them in progress, when the first is due, and when the first that is
        not due yet. Nobody is in flight. Index as `load`.
        """
        status = _recipient.c.automation_status
        due_at = case((~_limits_changed_since(), _recipient.c.due_at))
        return select(
            func.count(),
            func.count(case((status == AutomationStatus.IN_PROGRESS, 1))),
            func.min(func.coalesce(due_at, NOW)),
            func.min(case((due_at > NOW, due_at))),
        ).where(
            *self._of_slice(), (status == AutomationStatus.PENDING) | (status == AutomationStatus.IN_PROGRESS)
        )

    def current_execution_id(self, *touchpoint_id: ColumnElement[Any]) -> ColumnElement[Any]:
        """The id of the execution that a recipient is at, or begins."""
        return func.coalesce(_recipient.c.execution_id, self._execution_id(*touchpoint_id))

    def _execution_id(self, *touchpoint_id: ColumnElement[Any]) -> ColumnElement[Any]:
        """The id of the execution that a recipient begins: of its job and slice (a recipient that starts over is cut
        into another one), its entity, and in a sequence the touchpoint.
        """
        recipient = _recipient.c
        parts = (recipient.job_id, recipient.slice_number, recipient.entity_id, *touchpoint_id)
        return execution_id_of(*parts)


class SequenceStatements(RecipientStatements):
    """One database's set of those that a flow of several touchpoints needs."""

    def __init__(self, dialect: Dialect) -> None:
        super().__init__(dialect)
        recipient = _recipient.c
        self._here = UNSETTLED & recipient.touchpoint_id.is_not_distinct_from(_FROM)
        self.load = self._load(
            UNSETTLED,
            recipient.touchpoint_id,
            recipient.variant,
            recipient.attempt,
            recipient.due_at,
            recipient.automation_status,
        )
        self.claimable = self._claimable(self._here, _AT)
        self.keep_delivered = self._keep(UNSETTLED, AutomationStatus.SUCCESS, null(), null(), ended=1)
        self.keep_skipped = self._keep(self._here, SKIPPED, null(), null())
        self.keep_left = self._keep(
            self._here & (recipient.attempt > 0), SKIPPED, recipient.error_code, recipient.error_text
        )
        variant = func.coalesce(recipient.variant, _VARIANT)
        self.place_delivered = self._place(UNSETTLED, variant=variant, **_contacted())
        self.place = self._place(self._here)
        self.finish = self._finish()
        self.been_through = self._been_through()

    def _claimed_place(self) -> dict[str, ColumnElement[Any]]:
        """Also the touchpoint, its place and its variant."""
        return {
            "execution_id": self.current_execution_id(_AT),
            "touchpoint_id": _AT,
            "step": _AT_STEP,
            "variant": func.coalesce(_recipient.c.variant, _VARIANT),
        }

    def _keep(
        self,
        which: ColumnElement[bool],
        status: str,
        code: ColumnElement[Any],
        text: ColumnElement[Any],
        *,
        ended: int = 0,
    ) -> Insert:
        """Executions of `p_keys` → the history.

        Args:
            ended: Attempts that have ended and are not counted yet.
        """
        recipient = _recipient.c
        columns = {
            "id": self.current_execution_id(_AT),
            "org_id": recipient.org_id,
            "campaign_id": recipient.campaign_id,
            "entity_id": recipient.entity_id,
            "job_id": recipient.job_id,
            "status": literal(status, String()),
            "attempt": recipient.attempt + ended,
            "error_code": code,
            "error_text": text,
            "ended_at": NOW,
            "touchpoint_id": _AT,
            "step": _AT_STEP,
            "variant": _VARIANT,
        }
        chosen = select(*columns.values()).where(self._recipients(), which)
        return insert(_execution).from_select(list(columns), chosen)

    def _place(self, which: ColumnElement[bool], **more: ColumnElement[Any]) -> Update:
        """→ in_progress at another touchpoint, with an execution of its own."""
        begun = AutomationStatus.IN_PROGRESS
        movable = sources_of(AUTOMATION, begun) | (_recipient.c.automation_status == begun)
        return (
            update(_recipient)
            .where(self._recipients(), which, movable)
            .values(
                automation_status=begun,
                touchpoint_id=_TO,
                step=_STEP,
                due_at=_DUE_AT,
                execution_id=self._execution_id(_TO),
                attempt=0,
                error_code=None,
                error_text=None,
                updated_at=NOW,
                **more,
            )
        )

    def _finish(self) -> Update:
        """→ success: nothing is left of the flow. The execution is the last there was. Index execution (campaign_id,
        entity_id, ended_at).
        """
        kept = _execution.c
        last = (
            select(kept.id)
            .where(
                kept.campaign_id == _recipient.c.campaign_id,
                kept.entity_id == _recipient.c.entity_id,
            )
            .order_by(kept.ended_at.desc())
            .limit(1)
            .scalar_subquery()
        )
        return (
            update(_recipient)
            .where(self._recipients(), self._here, sources_of(AUTOMATION, AutomationStatus.SUCCESS))
            .values(
                automation_status=AutomationStatus.SUCCESS,
                execution_id=func.coalesce(last, _recipient.c.execution_id),
                due_at=None,
                error_code=None,
                error_text=None,
                updated_at=NOW,
            )
        )

    def _been_through(self) -> Select[Any]:
        """Who of `p_ids` was run through a touchpoint before. Index execution (campaign_id, entity_id, ended_at)."""
        return select(_execution.c.entity_id).where(
            _execution.c.campaign_id == bindparam("p_campaign_id", type_=Uuid()),
            self._among(_execution.c.entity_id),
            _execution.c.touchpoint_id == _TO,
            (_execution.c.status == AutomationStatus.SUCCESS) | (_execution.c.status == SKIPPED),
        )


def _limits_changed_since() -> ColumnElement[bool]:
    """Whether a recipient was put back for a limit before the organization's limits were changed: then it is looked at
    again, whenever it is due. The organization by its primary key.
    """
    changed_at = select(_organization.c.limits_changed_at).where(_organization.c.id == ORG).scalar_subquery()
    put_back = or_(*(_recipient.c.error_code == code for code in PUT_BACK))
    return func.coalesce(put_back & (_recipient.c.updated_at < changed_at), false())


@cache
def complete_and_claim_statement(*, completes_range: bool, claims_range: bool) -> CompoundSelect[Any]:
    """Lock the slice, complete a wave, claim the next, count: in one statement that is a transaction (PostgreSQL).

    It is what `renew`, `complete` and `claimable` do in five round trips, where all is as usual: a flow of one message,
    nothing limited, nobody refused. Nobody is claimed for a job that was paused or cancelled, or under other limits
    than `p_limits_epoch`. A recipient that is moved by others while this waits for the slice is claimed as if that came
    later.
    Rows: `WaveRow`; none: the lease is lost. Primary keys, and index as `load`.

    Args:
        completes_range: The delivered are all that are pending between two keys; else they are listed.
        claims_range: The same of who is claimed.
    """
    return _Combined(PostgreSQL()).complete_and_claim(
        completes_range=completes_range, claims_range=claims_range
    )


class _Combined(RecipientStatements):
    """Made of the same parts as the statements that it stands for."""

    def complete_and_claim(self, *, completes_range: bool, claims_range: bool) -> CompoundSelect[Any]:
        """See there."""
        known = bindparam("p_limits_epoch", type_=Integer())
        ours = select(_slice.c.number, *standing()).where(*leased())
        held = ours.with_for_update(key_share=True).cte("held")
        there = select(held.c.number).exists()
        free = (
            (held.c.status == JobStatus.PROCESSING) & held.c.held.is_(False) & (held.c.limits_epoch == known)
        )
        delivered = and_(self._recipients(in_range=completes_range), there)
        completed = (
            self._complete(AutomationStatus.SUCCESS, delivered, null(), null())
            .returning(_recipient.c.entity_id)
            .cte("completed")
        )
        may_claim = select(free).select_from(held).scalar_subquery()
        which = and_(_PENDING, may_claim)
        claimed = self._claimable(which, keys="p_wanted_keys", in_range=claims_range).cte("claimed")
        written = select(func.count()).select_from(completed).scalar_subquery()
        tally = select(  # counted once
            written.label("written"),
            func.count().label("going"),
            func.coalesce(func.array_agg(claimed.c.entity_id), literal_column("'{}'::uuid[]")).label(
                "claimed"
            ),
        ).cte("tally")
        written, going, keys = (select(column).scalar_subquery() for column in tally.c)
        counts = counted(
            {"success": written, "sent": written}, in_progress=going, claimed=keys, claimed_step=null()
        )
        renewed = renew(counts).returning(_slice.c.number).cte("renewed")
        state = [held.c[name] for name in WaveRow._fields[-5:]]
        nothing = cast(null(), Integer())
        people = select(*claimed.c, nothing, *(cast(null(), one.type) for one in state))
        about = select(*(cast(null(), one.type) for one in claimed.c), written, *state)
        return union_all(people, about.select_from(held.join(renewed, renewed.c.number == held.c.number)))


def _contacted() -> dict[str, ColumnElement[Any]]:
    """The columns that change when a message was taken, for an enrolled target (state.tables.enrolment): part of the
    statements that complete it, so that it can neither be forgotten nor lost. Who is no target has no stage and no
    counters: what is added to them stays absent. Parameters as `engine.delivery.sender.Contact` has them.
    """
    columns = _recipient.c
    at = bindparam("p_contacted_at", type_=UtcDateTime())
    email = bindparam("p_email", type_=Integer())
    return {
        "stage": case((at.is_(None), columns.stage), else_=moved_to(TargetStage.CONTACTED)),
        "email_sent": columns.email_sent + email,
        "whatsapp_sent": columns.whatsapp_sent + bindparam("p_whatsapp", type_=Integer()),
        "last_contacted_at": case((columns.stage.is_not(None), func.coalesce(at, columns.last_contacted_at))),
        "last_email_at": case((columns.stage.is_not(None) & (email > 0), at), else_=columns.last_email_at),
    }


def _given_up() -> dict[str, ColumnElement[Any]]:
    """The columns that change when a delivery failed for good."""
    return {"stage": moved_to(TargetStage.UNREACHABLE)}


def _reloaded(people: FromClause) -> tuple[ColumnElement[Any], ...]:
    entity = people.c
    changed = entity.updated_at > bindparam("p_since", type_=UtcDateTime())
    attributes = case(((entity.org_id == ORG) & changed, cast(entity.attributes, Text)))
    return (entity.id, entity.org_id == ORG, attributes, entity.title, entity.external_id)
