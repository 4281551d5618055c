"""What is due of a slice, in parts: recipients who are at the same place of their flow, and what is next for them.

A flow of one message makes one part, and costs nothing more. In a flow of several, who is due may be at different
touchpoints (some are tried again, some passed a condition), and each message has a channel, template and policy of its
own; a part is what has all of these in common, so that a wave is one thing.

A part whose channel is blocked or cannot be had is set aside: its recipients stay as they are, and the slice comes
back for them.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import structlog

from engine.delivery import conditions, health, moves, waves
from engine.delivery.course import Course, Landing, course_of, wait_ends
from engine.delivery.moves import Moved
from engine.delivery.sender import SenderUnavailable
from engine.delivery.step_statements import StepStatements
from engine.delivery.waves import Due, Stage
from engine.delivery.written import execute_named
from engine.limits.warm_up import BLOCKED_FOR, is_warm_up
from state.transitions import AutomationStatus

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy.orm import Session

    from engine.delivery.course import Step
    from engine.delivery.sender import Sender, Senders
    from engine.delivery.slices import Lease
    from engine.delivery.waves import Left

__all__ = ["Agenda", "Do", "Part", "agenda"]

log = structlog.get_logger(__name__)

_NOTHING_ACTIVE = "the flow has no active touchpoint"
#: How long a sender that cannot be had is left alone.
_UNAVAILABLE = timedelta(seconds=30)


class Do(Enum):
    """What is next for a part."""

    SEND = "send"
    WAIT = "wait"
    GO_ON = "go on"
    """Its touchpoint is not run, or was before: on to the next."""


class Taken(NamedTuple):
    """What claiming a wave came to."""

    claimed: dict[UUID, tuple[UUID | None, int]]
    """Entity id → execution id and attempt (see `waves.claim`)."""
    passed_over: int = 0
    """How many who were in progress its condition did not let through."""
    moved: Moved = Moved()
    """What became of those whom it did not."""


@dataclass(slots=True)
class Part:
    """Recipients of a slice at one place, with one thing next."""

    due: list[Due]
    step: Step | None
    """What they are to be run through; None: the flow is over for them."""
    do: Do = Do.SEND
    at: UUID | None = None
    """The touchpoint in their rows."""
    leaves: int | None = None
    """The place of `at`, when it is not run any more."""
    stage: Stage | None = None
    """None: the only message of its flow."""
    sender: Sender | None = None
    """None: nothing is sent."""
    probing: bool = False
    """Its channel's breaker is half open, and this tries it."""
    waiting: frozenset[UUID] = frozenset()
    """Those who are in progress already."""
    whole: bool = False
    """They are all that its slice has, in key order."""

    @property
    def touchpoint_id(self) -> UUID | None:
        """Where what is sent is counted."""
        return None if self.step is None else self.step.touchpoint_id

    @property
    def variant(self) -> str | None:
        """Which variant of it is sent."""
        return None if self.stage is None else self.stage.variant

    def count_waiting(self, entity_ids: Iterable[UUID]) -> int:
        """How many of these were in progress when the part was made."""
        return len(self.waiting.intersection(entity_ids)) if self.waiting else 0

    def claim(
        self, session: Session, lease: Lease, entity_ids: list[UUID], *, now: datetime, again: bool
    ) -> Taken:
        """Claim a wave (see `waves.claim`); whom its condition does not let through goes on to what is next."""
        if self.stage is None:
            return Taken(waves.claim(session, lease, entity_ids, now=now, again=again))
        let_in, moved = self._let_in(session, lease, entity_ids, now)
        if not let_in:
            return Taken({}, self.count_waiting(entity_ids), moved)
        claimed = moves.claim(
            session,
            lease,
            let_in,
            at=self.at,
            step=self.stage.step,
            variant=self.stage.variant,
            now=now,
            again=again,
        )
        return Taken(claimed, self.count_waiting(set(entity_ids).difference(let_in)), moved)

    def move(self, session: Session, lease: Lease, course: Course, now: datetime) -> Moved:
        """Go on to `step`, where nothing is sent to them now."""
        ids, skipped = [due.entity_id for due in self.due], Moved()
        landing = None if self.step is None else course.landing(self.step.index, now)
        if self.step is not None and self.do is Do.WAIT:
            ids, skipped = self._let_in(session, lease, ids, now)
            landing = Landing(self.step, wait_ends(self.step.row.settings, now))
        if not ids:
            return skipped
        moved = moves.move(session, lease, ids, at=self.at, landing=landing, now=now, leaves=self.leaves)
        return Moved(moved.finished + skipped.finished, moved.placed + skipped.placed)

    def _let_in(
        self, session: Session, lease: Lease, entity_ids: list[UUID], now: datetime
    ) -> tuple[list[UUID], Moved]:
        """Whom the condition lets through; the others have moved on."""
        stage = self.stage
        if stage is None or not stage.step.row.condition:
            return entity_ids, Moved()
        passed = conditions.passing(session, lease, stage.step.row.condition, entity_ids, now)
        others = [key for key in entity_ids if key not in passed]
        moved = Moved()
        if others:
            moved = moves.skip(
                session,
                lease,
                others,
                at=self.at,
                step=stage.step,
                landing=stage.landing(now),
                now=now,
            )
        return [key for key in entity_ids if key in passed], moved


@dataclass(slots=True)
class Agenda:
    """What a lease is to do."""

    course: Course
    lasts: timedelta
    """How long nobody else tries a channel that this lease tries after an outage."""
    parts: list[Part] = field(default_factory=list)
    aside_until: datetime | None = None
    """Recipients were set aside until then."""
    probed: set[UUID] = field(default_factory=set)
    """Channels that this lease tries after an outage."""
    goes_on: bool = False
    """Others are due at once: they have come to their next touchpoint, or were left."""

    def set_aside(self, until: datetime) -> None:
        """The slice must come back for recipients that are due."""
        self.aside_until = until if self.aside_until is None else min(until, self.aside_until)

    def next_run_at(self, left: Left, now: datetime) -> datetime | None:
        """When the slice is to be taken again; None: nobody is left of it."""
        if left.due_at is None or self.aside_until is None or self.goes_on or left.due_at > now:
            return left.due_at
        return self.aside_until if left.later is None else min(left.later, self.aside_until)


class _Place(NamedTuple):
    """Where a row says that its recipient is."""

    touchpoint_id: UUID | None
    step: int
    waited: bool


def agenda(session: Session, lease: Lease, senders: Senders, now: datetime, *, lasts: timedelta) -> Agenda:
    """What is due of a leased slice. A job whose only channel is blocked, or cannot be had, is made to wait.

    Args:
        lasts: How long nobody else tries a channel that this lease tries after an outage.
    """
    course = course_of(session, lease.org_id, lease.job_id)
    found = Agenda(course, lasts)
    if course.only is not None and not lease.waiting:
        sender = _sender(session, lease, senders, found, course.only, now)
        if sender is None:
            return found
        people = _without_doubt(found, sender, waves.load(session, lease), now)
        if not any(due.step for due in people):
            probing = sender.channel_id in found.probed
            whole = len(people) == lease.size
            part = Part(people, course.only, sender=sender, probing=probing, whole=whole)
            found.parts = [part] if people else []
            return found
    _load(session, lease, senders, found, course, now)
    return found


def _load(
    session: Session, lease: Lease, senders: Senders, found: Agenda, course: Course, now: datetime
) -> None:
    if course.next(0) is None and not lease.waiting:
        health.wait(session, lease, until=now + _UNAVAILABLE, reason=_NOTHING_ACTIVE, kind="unavailable")
        return
    rows = execute_named(
        session,
        StepStatements.of(session).load,
        p_org_id=lease.org_id,
        p_job_id=lease.job_id,
        p_number=lease.number,
        p_now=now,
    )
    places: dict[_Place, list[tuple[Due, Any]]] = defaultdict(list)
    for row in rows:
        due = Due.read(row[:6])
        places[_Place(row.touchpoint_id, row.step, row.due_at is not None)].append((due, row))
    for place, people in places.items():
        _next(session, lease, senders, found, course, place, people, now)


def _next(
    session: Session,
    lease: Lease,
    senders: Senders,
    found: Agenda,
    course: Course,
    place: _Place,
    people: list[tuple[Due, Any]],
    now: datetime,
) -> None:
    """The parts of those who are at one place."""
    at = course.find(place.touchpoint_id)
    step = course.ahead(place.touchpoint_id, place.step, waited=place.waited)
    waiting = frozenset(
        due.entity_id for due, row in people if row.automation_status == AutomationStatus.IN_PROGRESS
    )
    common: dict[str, Any] = {"at": place.touchpoint_id, "waiting": waiting}
    everybody = [due for due, _ in people]
    if place.touchpoint_id is None and step is None:  # nothing of the flow is active, and they have not begun
        found.set_aside(now + _UNAVAILABLE)
        return
    gone = place.touchpoint_id is not None and (at is None or not (at.is_wait or at.is_active))
    if gone or step is None:
        leaves = place.step if gone else None
        found.parts.append(Part(everybody, step, Do.GO_ON, leaves=leaves, **common))
    elif step.is_wait:
        found.parts.append(Part(everybody, step, Do.WAIT, stage=Stage(course, step, None), **common))
    else:
        been = frozenset[UUID]()
        if place.touchpoint_id is not None:
            been = frozenset(moves.been_through(session, lease, step, [due.entity_id for due in everybody]))
        if been:
            behind = course.next(step.index + 1)
            again = [due for due in everybody if due.entity_id in been]
            found.parts.append(Part(again, behind, Do.GO_ON, **common))
        fresh = [(due, row) for due, row in people if due.entity_id not in been]
        for variant, group in _by_variant(step, lease, fresh).items():
            sender = _sender(session, lease, senders, found, step, now, variant)
            if sender is not None:
                stage = Stage(course, step, variant)
                probing = sender.channel_id in found.probed
                due = _without_doubt(found, sender, group, now)
                if due:
                    found.parts.append(Part(due, step, stage=stage, sender=sender, probing=probing, **common))


def _by_variant(step: Step, lease: Lease, people: list[tuple[Due, Any]]) -> dict[str | None, list[Due]]:
    groups: dict[str | None, list[Due]] = defaultdict(list)
    for due, row in people:
        variants = step.variants
        name = None if variants is None else variants.of(lease.campaign_id, due.entity_id, row.variant)
        groups[name].append(due)
    return groups


def _sender(
    session: Session,
    lease: Lease,
    senders: Senders,
    found: Agenda,
    step: Step,
    now: datetime,
    variant: str | None = None,
) -> Sender | None:
    """What a touchpoint is sent with: its channel, or that one's fallback while it is down; None: not now."""
    try:
        sender = senders.of_step(session, lease.org_id, step, variant)
        until = _blocked_until(session, lease, found, sender, now)
        if until is None:
            return sender
        if sender.failures or is_warm_up(sender.blocked_reason):
            fallback = senders.of_fallback(session, lease.org_id, step, variant)
            if fallback is not None:
                other = _blocked_until(session, lease, found, fallback, now)
                if other is None:
                    return fallback
                until = min(until, other)
        reason, kind = sender.blocked_reason or "", "breaker" if sender.failures else "throttled"
        kind = BLOCKED_FOR if is_warm_up(sender.blocked_reason) else kind
    except SenderUnavailable as error:
        log.error("sender.unavailable", reason=str(error))  # noqa: TRY400 - the reason says it all
        until, reason, kind = now + _UNAVAILABLE, str(error), "unavailable"
    if found.course.channels > 1:
        found.set_aside(until)
    else:
        health.wait(session, lease, until=until, reason=reason, kind=kind)
    return None


def _blocked_until(
    session: Session, lease: Lease, found: Agenda, sender: Sender, now: datetime
) -> datetime | None:
    """Until when nothing may be sent with `sender`; None: it may be used, if only to try it after an outage."""
    until = sender.blocked_until
    if sender.failures and (until is None or until <= now):
        if sender.channel_id not in found.probed:
            until = health.probe(session, lease, sender.channel_id, lasts=found.lasts)
        if until is None or until <= now:
            found.probed.add(sender.channel_id)
    return None if until is None or until <= now else until


def _without_doubt(found: Agenda, sender: Sender, people: list[Due], now: datetime) -> list[Due]:
    """Whom a sender may write to: a fallback to nobody whose earlier attempt may have arrived; they wait for their own
    channel.
    """
    if not sender.is_fallback:
        return people
    certain = [due for due in people if not due.doubted]
    if len(certain) < len(people):
        found.set_aside(now + _UNAVAILABLE)
    return certain
