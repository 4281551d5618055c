"""What a lease is to do: the recipients of its slice that are due, in groups, and what is next for each group.

A flow of one message makes one group, and costs nothing more. In a flow of several touchpoints recipients that are due
may be at different ones (some are tried again, some passed a condition), and each message has a channel, template and
policy of its own; a group is what has all of these in common, so that a wave is one thing.

A group whose channel is blocked or cannot be had is set aside: its recipients stay as they are, and the slice comes
back for them.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog
from orjson import loads

from engine.delivery import health
from engine.delivery.lease_statements import LoadRow, RecipientStatements, SequenceStatements
from engine.delivery.outcomes import OUTCOME_UNKNOWN
from engine.delivery.sender import SenderUnavailable
from engine.kernel.prepared import execute, execute_named
from engine.limits.warm_up import BLOCKED_FOR, is_warm_up
from state.transitions import AutomationStatus

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.delivery.flow_plan import FlowPlan, NextStep, Step
    from engine.delivery.sender import Sender, Senders
    from engine.delivery.slices import Lease

__all__ = [
    "NOTHING_REMAINS",
    "NextAction",
    "PendingRecipient",
    "Remaining",
    "SequenceStep",
    "StepGroup",
    "WorkPlan",
    "attributes_of",
    "load",
    "plan_work",
]

log = structlog.get_logger(__name__)

_NOTHING_ACTIVE = "the flow has no active touchpoint"
#: How long a sender that cannot be had is left alone.
_UNAVAILABLE = timedelta(seconds=30)


class PendingRecipient(NamedTuple):
    """A recipient that is to be delivered to, and what a template may say about it."""

    entity_id: UUID
    attributes: dict[str, Any] | None
    """Absent: the entity was deleted after it was planned."""
    maybe_delivered: bool
    """An earlier attempt of this execution may have arrived."""
    step: int = 0
    """How many touchpoints lay before the one it is at."""


@dataclass(frozen=True, slots=True)
class SequenceStep:
    """The touchpoint of a flow of several that a group is run through."""

    flow: FlowPlan
    step: Step
    variant: str | None

    def next_step(self, now: datetime) -> NextStep | None:
        """Where recipients that are through go on; None: the flow is over for them."""
        return self.flow.next_step(self.step.index + 1, now)


class NextAction(Enum):
    """What is next for a group."""

    SEND = "send"
    WAIT = "wait"
    GO_ON = "go on"
    """Its touchpoint is not run, or was before: on to the next."""


@dataclass(slots=True)
class StepGroup:
    """Recipients of a slice at one place of their flow, with one thing next."""

    pending: list[PendingRecipient]
    """In key order."""
    step: Step | None
    """What they are to be run through; None: the flow is over for them."""
    action: NextAction = NextAction.SEND
    at: UUID | None = None
    """The touchpoint in their rows."""
    leaves: int | None = None
    """The place of `at`, when it is not run any more."""
    sequence: SequenceStep | None = None
    """`step` in its flow; None: the only message of it."""
    sender: Sender | None = None
    """None: nothing is sent."""
    probing: bool = False
    """Its channel's breaker is half open, and this tries it."""
    in_progress: frozenset[UUID] = frozenset()
    """Recipients of it that are in progress already, between two touchpoints."""
    is_whole_slice: bool = False
    """They are all that its slice has."""

    @property
    def touchpoint_id(self) -> UUID | None:
        """Where what is sent is counted."""
        return None if self.step is None else self.step.touchpoint_id

    @property
    def variant(self) -> str | None:
        """Which variant of it is sent."""
        return None if self.sequence is None else self.sequence.variant

    @property
    def place(self) -> int | None:
        """How many touchpoints of the flow lie before `step`; None: it is the only message of it."""
        return None if self.sequence is None else self.sequence.step.index

    def count_in_progress(self, entity_ids: Iterable[UUID]) -> int:
        """How many of these were in progress when the group was made."""
        return len(self.in_progress.intersection(entity_ids)) if self.in_progress else 0


class Remaining(NamedTuple):
    """What remains of a slice when nobody is in flight."""

    recipients: int
    in_progress: int
    """Of them: between two touchpoints."""
    due_at: datetime | None
    """When the first is due; None: nothing remains."""
    later: datetime | None
    """When the first is due that is not due yet."""


NOTHING_REMAINS = Remaining(0, 0, None, None)


@dataclass(slots=True)
class WorkPlan:
    """What a lease is to do, and what it is found on the way not to be able to do."""

    flow: FlowPlan
    lasts: timedelta
    """How long nobody else tries a channel that this lease tries after an outage."""
    groups: list[StepGroup] = field(default_factory=list)
    aside_until: datetime | None = None
    """Recipients were set aside until then."""
    probed: set[UUID] = field(default_factory=set)
    """Channels that this lease tries after an outage."""
    more_due: bool = False
    """Others are due at once: they have come to their next touchpoint, or were left."""

    def set_aside(self, until: datetime) -> None:
        """The slice must come back for recipients that are due."""
        self.aside_until = until if self.aside_until is None else min(until, self.aside_until)

    def next_run_at(self, remaining: Remaining, now: datetime) -> datetime | None:
        """When the slice is to be taken again; None: nothing remains of it."""
        due_at, later = remaining.due_at, remaining.later
        if due_at is None or self.aside_until is None or self.more_due or due_at > now:
            return due_at
        return self.aside_until if later is None else min(later, self.aside_until)


class _Place(NamedTuple):
    """Where a row says that its recipient is."""

    touchpoint_id: UUID | None
    step: int
    waited: bool


def plan_work(
    session: Session, lease: Lease, flow: FlowPlan, senders: Senders, now: datetime, *, lasts: timedelta
) -> WorkPlan:
    """What is due of a leased slice. A job whose only channel is blocked, or cannot be had, is made to wait.

    Args:
        flow: Its job's, as it is now.
        lasts: How long nobody else tries a channel that this lease tries after an outage.
    """
    plan = WorkPlan(flow, lasts)
    if flow.only is not None and not lease.between_steps:
        sender = _sender(session, lease, senders, plan, flow.only, now)
        if sender is None:
            return plan
        loaded = load(session, lease, now)
        pending = _without_doubt(plan, sender, loaded, now)
        if not any(recipient.step for recipient in pending):
            if pending:
                plan.groups = [
                    StepGroup(
                        pending,
                        flow.only,
                        sender=sender,
                        probing=sender.channel_id in plan.probed,
                        is_whole_slice=len(pending) == lease.size,
                    )
                ]
            return plan
    _plan_sequence(session, lease, senders, plan, now)
    return plan


def load(session: Session, lease: Lease, now: datetime) -> list[PendingRecipient]:
    """The slice's recipients that are pending and due, in key order."""
    found = execute(
        session,
        RecipientStatements.of(session).load,
        p_org_id=lease.org_id,
        p_job_id=lease.job_id,
        p_number=lease.number,
        p_now=now,
    )
    return [_pending(row) for row in found.all()]


def _pending(row: Sequence[Any]) -> PendingRecipient:
    entity_id, error_code, text, title, external_id, step = row
    attributes = attributes_of(entity_id, text, title, external_id)
    return PendingRecipient(entity_id, attributes, error_code == OUTCOME_UNKNOWN, step)


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


def _plan_sequence(session: Session, lease: Lease, senders: Senders, plan: WorkPlan, now: datetime) -> None:
    """The groups of a flow of several touchpoints, or of one in which somebody came from elsewhere."""
    if plan.flow.next(0) is None and not lease.between_steps:
        health.wait(session, lease, until=now + _UNAVAILABLE, reason=_NOTHING_ACTIVE, kind="unavailable")
        return
    rows = execute_named(
        session,
        SequenceStatements.of(session).load,
        p_org_id=lease.org_id,
        p_job_id=lease.job_id,
        p_number=lease.number,
        p_now=now,
    )
    places: dict[_Place, list[tuple[PendingRecipient, Any]]] = defaultdict(list)
    for row in rows:
        place = _Place(row.touchpoint_id, row.step, row.due_at is not None)
        places[place].append((_pending(row[: len(LoadRow._fields)]), row))
    for place, recipients in places.items():
        _plan_place(session, lease, senders, plan, place, recipients, now)


def _plan_place(
    session: Session,
    lease: Lease,
    senders: Senders,
    plan: WorkPlan,
    place: _Place,
    recipients: list[tuple[PendingRecipient, Any]],
    now: datetime,
) -> None:
    """The groups of the recipients at one place."""
    flow = plan.flow
    at = flow.find(place.touchpoint_id)
    step = flow.step_ahead(place.touchpoint_id, place.step, waited=place.waited)
    in_progress = frozenset(
        pending.entity_id
        for pending, row in recipients
        if row.automation_status == AutomationStatus.IN_PROGRESS
    )
    common: dict[str, Any] = {"at": place.touchpoint_id, "in_progress": in_progress}
    everybody = [pending for pending, _ in recipients]
    if place.touchpoint_id is None and step is None:  # nothing of the flow is active, and they have not begun
        plan.set_aside(now + _UNAVAILABLE)
        return
    gone = place.touchpoint_id is not None and (at is None or not (at.is_wait or at.is_active))
    if gone or step is None:
        leaves = place.step if gone else None
        plan.groups.append(StepGroup(everybody, step, NextAction.GO_ON, leaves=leaves, **common))
        return
    if step.is_wait:
        sequence = SequenceStep(flow, step, None)
        plan.groups.append(StepGroup(everybody, step, NextAction.WAIT, sequence=sequence, **common))
        return
    been: Collection[UUID] = ()
    if place.touchpoint_id is not None:
        been = _been_through(session, lease, step, [pending.entity_id for pending in everybody])
    if been:
        again = [pending for pending in everybody if pending.entity_id in been]
        plan.groups.append(StepGroup(again, flow.next(step.index + 1), NextAction.GO_ON, **common))
    fresh = [(pending, row) for pending, row in recipients if pending.entity_id not in been]
    for variant, group in _by_variant(step, lease, fresh).items():
        sender = _sender(session, lease, senders, plan, step, now, variant)
        if sender is not None:
            certain = _without_doubt(plan, sender, group, now)
            if certain:
                sequence = SequenceStep(flow, step, variant)
                probing = sender.channel_id in plan.probed
                plan.groups.append(
                    StepGroup(certain, step, sequence=sequence, sender=sender, probing=probing, **common)
                )


def _been_through(session: Session, lease: Lease, step: Step, entity_ids: Sequence[UUID]) -> Collection[UUID]:
    """Those who were run through a touchpoint before it was moved to where they would come to it again."""
    found = execute(
        session,
        SequenceStatements.of(session).been_through,
        p_campaign_id=lease.campaign_id,
        p_touchpoint_id=step.touchpoint_id,
        p_ids=list(entity_ids),
    )
    return set(found.scalars())


def _by_variant(
    step: Step, lease: Lease, recipients: list[tuple[PendingRecipient, Any]]
) -> dict[str | None, list[PendingRecipient]]:
    groups: dict[str | None, list[PendingRecipient]] = defaultdict(list)
    for pending, row in recipients:
        variants = step.variants
        name = None if variants is None else variants.of(lease.campaign_id, pending.entity_id, row.variant)
        groups[name].append(pending)
    return groups


def _sender(
    session: Session,
    lease: Lease,
    senders: Senders,
    plan: WorkPlan,
    step: Step,
    now: datetime,
    variant: str | None = None,
) -> Sender | None:
    """What a touchpoint is sent with: its channel, or that one's fallback while it is down; None: not now."""
    try:
        sender = senders.of_step(session, lease.org_id, step, variant)
        until = _blocked_until(session, lease, plan, sender, now)
        if until is None:
            return sender
        if sender.failures or is_warm_up(sender.blocked_reason):
            fallback = senders.of_fallback(session, lease.org_id, step, variant)
            if fallback is not None:
                other = _blocked_until(session, lease, plan, fallback, now)
                if other is None:
                    return fallback
                until = min(until, other)
        reason, kind = sender.blocked_reason or "", "breaker" if sender.failures else "throttled"
        kind = BLOCKED_FOR if is_warm_up(sender.blocked_reason) else kind
    except SenderUnavailable as error:
        log.error("sender.unavailable", reason=str(error))  # noqa: TRY400 - the reason says it all
        until, reason, kind = now + _UNAVAILABLE, str(error), "unavailable"
    if plan.flow.channels > 1:
        plan.set_aside(until)
    else:
        health.wait(session, lease, until=until, reason=reason, kind=kind)
    return None


def _blocked_until(
    session: Session, lease: Lease, plan: WorkPlan, sender: Sender, now: datetime
) -> datetime | None:
    """Until when nothing may be sent with `sender`; None: it may be used, if only to try it after an outage."""
    until = sender.blocked_until
    if sender.failures and (until is None or until <= now):
        if sender.channel_id not in plan.probed:
            until = health.probe(session, lease, sender.channel_id, lasts=plan.lasts)
        if until is None or until <= now:
            plan.probed.add(sender.channel_id)
    return None if until is None or until <= now else until


def _without_doubt(
    plan: WorkPlan, sender: Sender, pending: list[PendingRecipient], now: datetime
) -> list[PendingRecipient]:
    """The recipients that a sender may write to: a fallback to none whose earlier attempt may have arrived; they wait
    for their own channel.
    """
    if not sender.is_fallback:
        return pending
    certain = [recipient for recipient in pending if not recipient.maybe_delivered]
    if len(certain) < len(pending):
        plan.set_aside(now + _UNAVAILABLE)
    return certain
