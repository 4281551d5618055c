"""A wave: load a slice's recipients, claim some, settle some.

All of it runs under `slices.hold`, which has locked the slice. Each step is one round trip, on at most 100 rows (500
when loading, and where a channel takes a wave in one piece); the statements stand in
`engine.delivery.recipient_statements`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from orjson import loads

from engine.audience.suppression import Barred, bar
from engine.channels.media import folded
from engine.channels.port import Rejected
from engine.delivery import moves
from engine.delivery.contact import NO_CONTACT, contact_of
from engine.delivery.outcomes import OUTCOME_UNKNOWN
from engine.delivery.recipient_statements import RecipientStatements
from engine.delivery.slice_statements import SliceStatements
from engine.delivery.slices import Tally
from engine.delivery.telling import TOLD, tell
from engine.delivery.written import execute
from state.change import clock_of
from state.transitions import AutomationStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.channels.port import Message, Outcome
    from engine.delivery.course import Course, Landing, Step
    from engine.delivery.outcomes import Settlement
    from engine.delivery.parts import Part
    from engine.delivery.sender import Sender
    from engine.delivery.slices import Lease

__all__ = [
    "NOBODY_LEFT",
    "Due",
    "Left",
    "Run",
    "Stage",
    "Unsettled",
    "attributes_of",
    "claim",
    "correct",
    "land_rest",
    "left",
    "load",
    "settle",
]


class Due(NamedTuple):
    """A recipient that is to be delivered to, and what a template may say about it."""

    entity_id: UUID
    attributes: dict[str, Any] | None
    """Absent: the entity was deleted after it was planned."""
    doubted: bool
    """An earlier attempt of this execution may have arrived."""
    step: int = 0
    """How many touchpoints lay before the one it is at."""

    @classmethod
    def read(cls, row: Sequence[Any]) -> Due:
        """Of a row that begins as `RecipientStatements.load` says."""
        entity_id, error_code, text, title, external_id, step = row
        doubted = error_code == OUTCOME_UNKNOWN
        return cls(entity_id, attributes_of(entity_id, text, title, external_id), doubted, step)


def attributes_of(
    entity_id: UUID, text: str | None, title: str, external_id: str | None
) -> dict[str, Any] | None:
    """What a template may say about an entity; None: there is no such entity.

    Args:
        text: Its attributes as JSON.
    """
    if text is None:
        return None
    attributes: dict[str, Any] = loads(text)
    attributes["_id"] = str(entity_id)
    attributes["_title"] = title
    attributes["external_id"] = external_id
    return attributes


def load(session: Session, lease: Lease) -> list[Due]:
    """The slice's recipients that are pending and due, in key order."""
    found = execute(
        session,
        RecipientStatements.of(session).load,
        p_org_id=lease.org_id,
        p_job_id=lease.job_id,
        p_number=lease.number,
        p_now=clock_of(session).now(),
    )
    return [Due.read(row) for row in found.all()]


def claim(
    session: Session, lease: Lease, entity_ids: list[UUID], *, now: datetime, again: bool = False
) -> dict[UUID, tuple[UUID | None, int]]:
    """Move pending recipients to `in_progress`: attempt + 1, in flight, an execution id if they have none yet.

    Args:
        again: The commit of an earlier call may or may not have happened (the connection died in it). Rows it did
            claim are ours, unsent, and are taken as they are.

    Returns:
        Of those that were claimed: entity id → (execution id, attempt); no execution id: a target that was
        soft-deleted (`compose.removed`).
    """
    ours = RecipientStatements.of(session)
    claimed = execute(
        session,
        ours.claim_again if again else ours.claim,
        p_job_id=lease.job_id,
        p_number=lease.number,
        p_keys=entity_ids,
        p_now=now,
    )
    return moves.read_claims(claimed.all())


class Run(NamedTuple):
    """Everybody that a slice has between two keys, both included: named by these alone."""

    first: UUID
    last: UUID


@dataclass(frozen=True, slots=True)
class Stage:
    """The touchpoint of a flow of several that a wave is run through."""

    course: Course
    step: Step
    variant: str | None

    def landing(self, now: datetime) -> Landing | None:
        """Where whoever is through goes on; None: the flow is over for them."""
        return self.course.landing(self.step.index + 1, now)


class Unsettled:
    """Outcomes that are known and not written yet. What is usual, a message that was taken, costs no object."""

    __slots__ = ("_flight", "barred", "contact", "delivered", "others", "stage")

    def __init__(self) -> None:
        self.delivered: list[UUID] = []
        self.others: list[Settlement] = []
        self.barred: list[Barred] = []
        """Addresses that the provider says are no good."""
        self.stage: Stage | None = None
        """What they are outcomes of; None: of a flow's only message."""
        self.contact = NO_CONTACT
        """What it means to have been delivered to."""
        self._flight: tuple[Run, int] | None = None

    def about(self, part: Part, flight: tuple[Run, int] | None = None) -> None:
        """What comes next are outcomes of this part.

        Args:
            flight: All of its slice that is in flight is the wave that has just been claimed: these, so many.
        """
        self.stage, self.contact, self._flight = part.stage, contact_of(part.sender), flight

    @property
    def keys(self) -> list[UUID] | Run:
        """Who was delivered to, in the shortest words."""
        if self.delivered and self._flight is not None and len(self.delivered) == self._flight[1]:
            return self._flight[0]
        return self.delivered

    def __bool__(self) -> bool:
        return bool(self.delivered or self.others)

    def __len__(self) -> int:
        return len(self.delivered) + len(self.others)

    def refused(self, sender: Sender, message: Message, outcome: Outcome) -> None:
        """Remember an address that the provider says is no good. An action's request is sent to nobody."""
        if isinstance(outcome, Rejected) and outcome.suppress is not None and not sender.is_action:
            key = folded(sender.channel.medium, message.address)
            self.barred.append(Barred(*key, outcome.suppress, channel_kind=sender.kind))

    def clear(self) -> None:
        """They were written."""
        self.delivered.clear()
        self.others.clear()
        self.barred.clear()

    def goes_on(self, now: datetime) -> bool:
        """Whether some of them are at their next touchpoint, and due there at once."""
        if self.stage is None or not self.delivered:
            return False
        landing = self.stage.landing(now)
        return landing is not None and (landing.due_at is None or landing.due_at <= now)

    def tally(self, *, in_progress: int, now: datetime) -> Tally:
        """What they will count to, if nobody interferes.

        Args:
            in_progress: Those of the slice's other recipients that will be in progress.
        """
        counts = Counter(item.status for item in self.others)
        sent = waiting = len(self.delivered)
        if self.stage is None or self.stage.landing(now) is None:
            counts[AutomationStatus.SUCCESS] += sent
            waiting = 0
        if self.stage is not None and self.stage.step.index:
            waiting += counts[AutomationStatus.PENDING]
        return _tally(counts, sent, in_progress + waiting)


def settle(
    session: Session,
    lease: Lease,
    unsettled: Unsettled,
    *,
    expected: Tally,
    in_progress: int,
    now: datetime,
    finished: int = 0,
) -> int:
    """Write outcomes, which `slices.hold` has counted as `expected`.

    Equal settlements travel in one statement. A recipient whose status somebody changed meanwhile through an API
    keeps that status, and its outcome is not counted. Of a flow of several touchpoints, whoever is through goes on to
    the next, and whoever is to be tried again stays in progress once anything lies behind them.

    Args:
        in_progress: How many of the slice's other recipients are in progress when this transaction ends.
        finished: Others whom this transaction has made a success, to be counted as well.

    Returns:
        How many of them wait, in progress, for what is next.
    """
    if unsettled.barred:
        bar(session, lease.org_id, unsettled.barred)
    counts: Counter[AutomationStatus] = Counter()
    stage, sent, waiting = unsettled.stage, 0, 0
    contact = unsettled.contact.parameters(now)
    if unsettled.delivered and stage is None:
        sent = _write(session, lease, AutomationStatus.SUCCESS, unsettled.delivered, now=now, **contact)
        counts[AutomationStatus.SUCCESS] += sent
    elif unsettled.delivered and stage is not None:
        landing = stage.landing(now)
        sent = moves.deliver(
            session,
            lease,
            unsettled.delivered,
            step=stage.step,
            variant=stage.variant,
            landing=landing,
            contact=unsettled.contact,
            now=now,
        )
        land_rest(session, lease, unsettled.delivered, sent)
        if landing is None:
            counts[AutomationStatus.SUCCESS] += sent
        else:
            waiting += sent
    about = (lease.org_id, lease.campaign_id, lease.job_id)
    at = None if stage is None else stage.step.touchpoint_id
    if lease.told and sent:
        tell(session, about, AutomationStatus.SUCCESS, unsettled.delivered, touchpoint_id=at)
    groups: dict[tuple[AutomationStatus, datetime | None, bool, bool], list[Settlement]] = defaultdict(list)
    for item in unsettled.others:
        groups[(item.status, item.due_at, item.refund, item.error_code is None)].append(item)
    begun = stage is not None and stage.step.index > 0
    for (status, due_at, refund, silent), group in groups.items():
        ids = [item.entity_id for item in group]
        errors = None if silent else [(item.error_code, item.error_text) for item in group]
        again = begun and status == AutomationStatus.PENDING
        written = AutomationStatus.IN_PROGRESS if again else status
        count = _write(session, lease, written, ids, errors, now=now, due_at=due_at, refund=refund)
        counts[written] += count
        if lease.told and count and written in TOLD:
            tell(session, about, written, ids, errors, touchpoint_id=at)
        waiting += count if again else 0
    counts[AutomationStatus.SUCCESS] += finished
    tally = _tally(counts, sent, in_progress + waiting)
    if tally != expected:
        correct(session, lease, tally, expected)
    return waiting


def _tally(counts: Mapping[AutomationStatus, int], sent: int, in_progress: int) -> Tally:
    return Tally(
        success=counts.get(AutomationStatus.SUCCESS, 0),
        failed=counts.get(AutomationStatus.FAILED, 0),
        cancelled=counts.get(AutomationStatus.CANCELLED, 0),
        sent=sent,
        in_progress=in_progress,
    )


def correct(session: Session, lease: Lease, written: Tally, expected: Tally) -> None:
    """Count on the slice what was written instead of what was expected."""
    difference = Tally(
        success=written.success - expected.success,
        failed=written.failed - expected.failed,
        cancelled=written.cancelled - expected.cancelled,
        sent=written.sent - expected.sent,
        in_progress=written.in_progress,
    )
    execute(
        session,
        SliceStatements.of(session).count,
        p_job_id=lease.job_id,
        p_number=lease.number,
        p_epoch=lease.epoch,
        **difference.parameters(),
    )


def _write(
    session: Session,
    lease: Lease,
    status: AutomationStatus,
    ids: list[UUID],
    errors: Sequence[tuple[str | None, str | None]] | None = None,
    *,
    now: datetime,
    due_at: datetime | None = None,
    refund: bool = False,
    **more: Any,
) -> int:
    """Write settlements that are equal but for their errors; returns how many were.

    Args:
        more: What the statement for `status` takes beside.
    """
    ours = RecipientStatements.of(session)
    scope: dict[str, Any] = {"p_job_id": lease.job_id, "p_number": lease.number}
    values: dict[str, Any] = {"p_refund": int(refund), "p_due_at": due_at, "p_now": now, **more}
    statement = ours.settle[status]
    if errors is not None:
        statement = ours.settle_each[status]
        values |= {"p_codes": [code for code, _ in errors], "p_texts": [text for _, text in errors]}
    written: int = execute(session, statement, p_keys=ids, **scope, **values).rowcount
    land_rest(session, lease, ids, written)
    return written


def land_rest(session: Session, lease: Lease, ids: list[UUID], written: int) -> None:
    """End the flight of those whose outcome was not written, because somebody changed their status meanwhile."""
    if written < len(ids):
        scope = {"p_job_id": lease.job_id, "p_number": lease.number}
        execute(session, RecipientStatements.of(session).land, p_keys=ids, **scope)


class Left(NamedTuple):
    """Who is left of a slice when nobody is in flight."""

    people: int
    in_progress: int
    """Those of them between two touchpoints."""
    due_at: datetime | None
    """When the first is due; None: nobody is left."""
    later: datetime | None
    """When the first is due that is not due yet."""


NOBODY_LEFT = Left(0, 0, None, None)


def left(session: Session, lease: Lease, now: datetime) -> Left:
    """Who is left of the slice."""
    found = execute(
        session,
        RecipientStatements.of(session).next_due,
        p_job_id=lease.job_id,
        p_number=lease.number,
        p_now=now,
    )
    return Left(*found.one())
