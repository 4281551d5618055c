"""What a lease writes about its recipients: they are claimed, completed, or moved to another touchpoint.

All of it runs under `slices.renew`, which has locked the slice. Each step is one round trip, on at most 100 rows (500
where a channel takes a wave in one piece); the statements stand in `engine.delivery.lease_statements`.

Promises:
- A claim is one write, on the slice: the recipients that the lease has on the wire when a transaction ends. Nothing of
  theirs is written before their outcome.
- A recipient whose status somebody changed meanwhile through an API keeps that status, and its outcome is not counted.
- What is counted on the slice is what was written.
- In a flow of several touchpoints a recipient that was run through one has it in the history: what was delivered there
  (success), or that its condition did not let them through (skipped). It is written in the transaction that moves them
  on. Each touchpoint has an execution of its own, and attempts from one.
- A flow of one message costs none of that: its executions stand on the recipients alone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from engine.channels.port import Rejected
from engine.delivery import conditions
from engine.delivery.earlier_attempts import keep_answers
from engine.delivery.flow_plan import NextStep, wait_ends
from engine.delivery.lease_statements import (
    ClaimRow,
    RecipientStatements,
    SequenceStatements,
    WaveRow,
    complete_and_claim_statement,
)
from engine.delivery.recipient_events import EVENT_NAMES, record_outcomes
from engine.delivery.sender import NO_CONTACT
from engine.delivery.slice_statements import SliceStatements
from engine.delivery.slices import JobState, LeaseLost, Tally
from engine.delivery.work_plan import NextAction, Remaining
from engine.engagement.suppression import Barred, bar
from engine.kernel.media import folded
from engine.kernel.prepared import execute
from state.transitions import AutomationStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime, timedelta
    from uuid import UUID

    from sqlalchemy import Connection
    from sqlalchemy.orm import Session

    from engine.channels.port import Outcome
    from engine.content.message import Message
    from engine.delivery.flow_plan import FlowPlan
    from engine.delivery.outcomes import Settlement
    from engine.delivery.rollup import CounterKey
    from engine.delivery.sender import Contact, Sender
    from engine.delivery.slices import Claims, Lease
    from engine.delivery.work_plan import SequenceStep, StepGroup

__all__ = [
    "Claim",
    "Claimed",
    "CombinedWave",
    "KeyRange",
    "Moved",
    "PendingOutcomes",
    "claim",
    "complete",
    "complete_and_claim",
    "correct",
    "move",
    "remaining",
]


class KeyRange(NamedTuple):
    """All recipients that a slice has between two keys, both included."""

    first: UUID
    last: UUID


class Claim(NamedTuple):
    """One recipient that was claimed."""

    execution_id: UUID | None
    """None: an enrolled target that was soft-deleted before it was its turn."""
    attempt: int
    """Which one this is: 1, 2, …"""


class Moved(NamedTuple):
    """What a move came to, in recipients."""

    finished: int = 0
    """Of these the flow is over: success."""
    placed: int = 0
    """These are at another touchpoint now, in progress."""


class Claimed(NamedTuple):
    """What claiming a wave came to."""

    claims: dict[UUID, Claim]
    """By entity id."""
    passed_over: int = 0
    """Recipients in progress that the touchpoint's condition did not let through."""
    moved: Moved = Moved()
    """What became of all that it did not let through."""


class PendingOutcomes:
    """Outcomes that are known and not written yet. What is usual, a message that was taken, costs no object."""

    __slots__ = ("_in_flight", "barred", "begun", "contact", "delivered", "others", "sequence")

    def __init__(self) -> None:
        self.delivered: list[UUID] = []
        self.others: list[Settlement] = []
        self.barred: list[Barred] = []
        """Addresses that the provider says are no good."""
        self.sequence: SequenceStep | None = None
        """The touchpoint that they are outcomes of; None: of a flow's only message."""
        self.begun: frozenset[UUID] = frozenset()
        """Recipients with a touchpoint behind them."""
        self.contact: Contact = NO_CONTACT
        """What it means to have been delivered to."""
        self._in_flight: tuple[KeyRange, int] | None = None

    def begin(self, group: StepGroup, in_flight: tuple[KeyRange, int] | None = None) -> None:
        """Those that were known are written, and what comes next are outcomes of this group.

        Args:
            in_flight: All of its slice that is in flight is the wave that has just been claimed: these, so many.
        """
        self.clear()
        self.sequence = group.sequence
        self.begun = group.in_progress
        self.contact = NO_CONTACT if group.sender is None else group.sender.contact
        self._in_flight = in_flight

    def clear(self) -> None:
        """They were written."""
        self.delivered.clear()
        self.others.clear()
        self.barred.clear()

    def keep(self, claimed: set[UUID]) -> None:
        """Forget those that are claimed no more: they were written."""
        self.delivered[:] = [key for key in self.delivered if key in claimed]
        self.others[:] = [item for item in self.others if item.entity_id in claimed]

    @property
    def keys(self) -> list[UUID] | KeyRange:
        """The recipients that were delivered to, in the shortest words."""
        if self.delivered and self._in_flight is not None and len(self.delivered) == self._in_flight[1]:
            return self._in_flight[0]
        return self.delivered

    def __bool__(self) -> bool:
        return bool(self.delivered or self.others)

    def __len__(self) -> int:
        return len(self.delivered) + len(self.others)

    def note_rejection(self, sender: Sender, message: Message, outcome: Outcome) -> None:
        """Remember an address that the provider says is no good. An action's request is sent to nobody."""
        if isinstance(outcome, Rejected) and outcome.suppress is not None and not sender.is_action:
            key = folded(sender.channel.medium, message.address)
            self.barred.append(Barred(*key, outcome.suppress, channel_kind=sender.kind))

    def are_due_next(self, now: datetime) -> bool:
        """Whether some of the recipients are at their next touchpoint, and due there at once."""
        if self.sequence is None or not self.delivered:
            return False
        following = self.sequence.next_step(now)
        return following is not None and (following.due_at is None or following.due_at <= now)

    def tally(self, *, between_steps: int, claims: Claims, now: datetime) -> Tally:
        """What they will count to, if nobody interferes.

        Args:
            between_steps: Those of the slice's other recipients that will be between two touchpoints.
            claims: Whom the lease has on the wire then.
        """
        counts = Counter(item.status for item in self.others)
        sent = staying = len(self.delivered)
        if self.sequence is None or self.sequence.next_step(now) is None:
            counts[AutomationStatus.SUCCESS] += sent
            staying = 0
        staying += sum(self.stays(item) for item in self.others) if self.begun else 0
        return _tally(counts, sent, between_steps + staying, claims)

    def stays(self, item: Settlement) -> bool:
        """Whether an outcome leaves its recipient between two touchpoints."""
        return item.status == AutomationStatus.PENDING and item.entity_id in self.begun


def claim(
    session: Session, lease: Lease, group: StepGroup, entity_ids: list[UUID], *, now: datetime
) -> Claimed:
    """See who of a group may be claimed: those that nobody has moved. The caller writes on the slice that they are.
    Those that the condition of their touchpoint does not let through move on to what is next.
    """
    sequence = group.sequence
    if sequence is None:
        return Claimed(_claims(_claimable(session, lease, entity_ids, now)))
    let_in, moved = _let_in(session, lease, group, entity_ids, now)
    passed_over = group.count_in_progress(set(entity_ids).difference(let_in))
    if not let_in:
        return Claimed({}, passed_over, moved)
    place = {"p_from": group.at, "p_at": sequence.step.touchpoint_id}
    rows = _claimable(session, lease, let_in, now, **place)
    return Claimed(_claims(rows), passed_over, moved)


def _claimable(
    session: Session, lease: Lease, entity_ids: list[UUID], now: datetime, **place: Any
) -> list[Any]:
    statements = (SequenceStatements if place else RecipientStatements).of(session)
    found: list[Any] = execute(
        session, statements.claimable, p_keys=entity_ids, **place, **_scope(lease, now)
    ).all()
    return found


def _claims(rows: Iterable[Sequence[Any]]) -> dict[UUID, Claim]:
    """Of rows as `ClaimRow`."""
    return {
        entity_id: Claim(execution_id if deleted_at is None else None, attempt)
        for entity_id, execution_id, attempt, deleted_at in rows
    }


def complete(
    session: Session,
    lease: Lease,
    outcomes: PendingOutcomes,
    *,
    expected: Tally,
    between_steps: int,
    claims: Claims,
    now: datetime,
    finished: int = 0,
) -> int:
    """Write outcomes, which `slices.renew` has counted as `expected`.

    Equal ones travel in one statement. In a flow of several touchpoints, recipients that are through go on to the next.

    Args:
        between_steps: How many of the slice's other recipients are between two touchpoints when this transaction ends.
        claims: Whom the lease has on the wire then.
        finished: Others whom this transaction has made a success, to be counted as well.

    Returns:
        How many of them are between two touchpoints.
    """
    if outcomes.barred:
        bar(session, lease.org_id, outcomes.barred)
    about = (lease.org_id, lease.campaign_id, lease.job_id)
    sequence, staying = outcomes.sequence, 0
    touchpoint_id = None if sequence is None else sequence.step.touchpoint_id
    counts: Counter[AutomationStatus] = Counter()
    sent = 0
    if outcomes.delivered:
        following = None if sequence is None else sequence.next_step(now)
        sent = _write_delivered(session, lease, outcomes, following, now)
        if following is None:
            counts[AutomationStatus.SUCCESS] += sent
        else:
            staying += sent
        if lease.emits_recipient_events and sent:
            record_outcomes(
                session, about, AutomationStatus.SUCCESS, outcomes.delivered, touchpoint_id=touchpoint_id
            )
    keep_answers(session, lease, outcomes.others, touchpoint_id=touchpoint_id, now=now)
    groups: dict[tuple[AutomationStatus, datetime | None, bool, bool], list[Settlement]] = defaultdict(list)
    for item in outcomes.others:
        status = AutomationStatus.IN_PROGRESS if outcomes.stays(item) else item.status
        groups[(status, item.due_at, item.refund, item.error_code is None)].append(item)
    for (status, due_at, refund, silent), group in groups.items():
        entity_ids = [item.entity_id for item in group]
        errors = None if silent else [(item.error_code, item.error_text) for item in group]
        count = _write(
            session, lease, sequence, status, entity_ids, errors, now=now, due_at=due_at, refund=refund
        )
        counts[status] += count
        staying += count if status == AutomationStatus.IN_PROGRESS else 0
        if lease.emits_recipient_events and count and status in EVENT_NAMES:
            record_outcomes(session, about, status, entity_ids, errors, touchpoint_id=touchpoint_id)
    counts[AutomationStatus.SUCCESS] += finished
    tally = _tally(counts, sent, between_steps + staying, claims)
    if tally != expected:
        correct(session, lease, tally, expected)
    return staying


def _write_delivered(
    session: Session, lease: Lease, outcomes: PendingOutcomes, following: NextStep | None, now: datetime
) -> int:
    """Recipients were delivered to: success, or on to the touchpoint that follows, with the one behind them in the
    history. Returns how many were written.
    """
    sequence, delivered = outcomes.sequence, outcomes.delivered
    contact = outcomes.contact.parameters(now)
    if sequence is not None:
        steps, place = SequenceStatements.of(session), _place(sequence)
        execute(session, steps.keep_delivered, p_keys=delivered, **place, **_scope(lease, now))
        if following is not None:
            written: int = execute(
                session,
                steps.place_delivered,
                p_keys=delivered,
                p_variant=sequence.variant,
                **_to(following),
                **contact,
                **_scope(lease, now),
            ).rowcount
            return written
    return _write(session, lease, sequence, AutomationStatus.SUCCESS, delivered, now=now, **contact)


def _write(
    session: Session,
    lease: Lease,
    sequence: SequenceStep | None,
    status: AutomationStatus,
    entity_ids: list[UUID],
    errors: Sequence[tuple[str | None, str | None]] | None = None,
    *,
    now: datetime,
    due_at: datetime | None = None,
    refund: bool = False,
    **more: Any,
) -> int:
    """Write outcomes that are equal but for their errors; returns how many were written.

    Args:
        sequence: What they are outcomes of.
        more: What the statement for `status` takes beside.
    """
    ours = (RecipientStatements if sequence is None else SequenceStatements).of(session)
    values: dict[str, Any] = {"p_spent": int(not refund), "p_due_at": due_at, **more}
    if sequence is not None:
        values |= _place(sequence)
    statement = ours.complete[status]
    if errors is not None:
        statement = ours.complete_each[status]
        values |= {"p_codes": [code for code, _ in errors], "p_texts": [text for _, text in errors]}
    written: int = execute(session, statement, p_keys=entity_ids, **_scope(lease, now), **values).rowcount
    return written


class CombinedWave(NamedTuple):
    """What `complete_and_claim` came to."""

    claims: dict[UUID, Claim]
    completed: int
    """How many were written as delivered: fewer than were given, if somebody changed a status meanwhile."""
    state: JobState


def complete_and_claim(
    transaction: Session | Connection,
    lease: Lease,
    *,
    delivered: list[UUID] | KeyRange,
    contact: Contact,
    wanted: list[UUID] | KeyRange,
    limits_epoch: int,
    lasts: timedelta,
    key: CounterKey,
    now: datetime,
) -> CombinedWave:
    """Renew the lease, write `delivered` as successes, and claim `wanted`, in one round trip: for the case that is
    usual (`lease_statements.complete_and_claim_statement` says which). PostgreSQL alone: SQLite has no such statement,
    and no round trips to save.

    Args:
        transaction: Or a connection on which every statement is a transaction of its own.
        delivered: Of a range: those that are pending.
        contact: How `delivered` count for those who are enrolled targets.
        limits_epoch: The limits that the caller knows; under others nobody is claimed.
        key: What the slice counts for.

    Raises:
        LeaseLost: the epoch is not ours any more.
    """
    rows = execute(
        transaction,
        complete_and_claim_statement(
            completes_range=isinstance(delivered, KeyRange), claims_range=isinstance(wanted, KeyRange)
        ),
        p_org_id=lease.org_id,
        p_job_id=lease.job_id,
        p_number=lease.number,
        p_epoch=lease.epoch,
        p_expires_at=now + lasts,
        p_now=now,
        p_limits_epoch=limits_epoch,
        p_spent=1,
        p_due_at=None,
        **key.parameters(),
        **contact.parameters(now),
        **_keys("p_keys", delivered),
        **_keys("p_wanted_keys", wanted),
    ).all()
    if not rows:
        raise LeaseLost(f"slice {lease.number} of job {lease.job_id}, epoch {lease.epoch}")
    *claimed, last = rows
    about = WaveRow(*last)
    state = JobState(about.status, about.held, about.waits_until, about.suppresses, about.limits_epoch)
    return CombinedWave(_claims(row[: len(ClaimRow._fields)] for row in claimed), about.completed, state)


def _keys(name: str, keys: list[UUID] | KeyRange) -> dict[str, Any]:
    if isinstance(keys, KeyRange):
        return {f"{name}_first": keys.first, f"{name}_last": keys.last}
    return {name: keys}


def move(session: Session, lease: Lease, group: StepGroup, flow: FlowPlan, now: datetime) -> Moved:
    """Let a group go on to its `step`, where nothing is sent to them now."""
    entity_ids, skipped = [recipient.entity_id for recipient in group.pending], Moved()
    following = None if group.step is None else flow.next_step(group.step.index, now)
    if group.step is not None and group.action is NextAction.WAIT:
        entity_ids, skipped = _let_in(session, lease, group, entity_ids, now)
        following = NextStep(group.step, wait_ends(group.step.row.settings, now))
    if not entity_ids:
        return skipped
    moved = _move_on(session, lease, group, entity_ids, following, now)
    return Moved(moved.finished + skipped.finished, moved.placed + skipped.placed)


def _let_in(
    session: Session, lease: Lease, group: StepGroup, entity_ids: list[UUID], now: datetime
) -> tuple[list[UUID], Moved]:
    """Those whom the condition of a touchpoint lets through; the others have moved on, with that in the history."""
    sequence = group.sequence
    if sequence is None or not sequence.step.row.condition:
        return entity_ids, Moved()
    passed = conditions.passing(session, lease, sequence.step.row.condition, entity_ids, now)
    others = [key for key in entity_ids if key not in passed]
    moved = Moved()
    if others:
        kept = {**_place(sequence), "p_variant": None}
        steps = SequenceStatements.of(session)
        execute(session, steps.keep_skipped, p_keys=others, p_from=group.at, **kept, **_scope(lease, now))
        moved = _move_on(session, lease, group, others, sequence.next_step(now), now)
    return [key for key in entity_ids if key in passed], moved


def _move_on(
    session: Session,
    lease: Lease,
    group: StepGroup,
    entity_ids: list[UUID],
    following: NextStep | None,
    now: datetime,
) -> Moved:
    """Recipients that are not claimed go on from where the group is (None: the flow is over for them). What was tried
    at a touchpoint that is not run any more goes into the history.
    """
    steps = SequenceStatements.of(session)
    scope: dict[str, Any] = {"p_from": group.at, **_scope(lease, now)}
    if group.leaves is not None:
        left = {"p_at": group.at, "p_at_step": group.leaves, "p_variant": None}
        execute(session, steps.keep_left, p_keys=entity_ids, **left, **scope)
    if following is not None:
        placed = execute(session, steps.place, p_keys=entity_ids, **_to(following), **scope).rowcount
        return Moved(placed=placed)
    return Moved(finished=execute(session, steps.finish, p_keys=entity_ids, **scope).rowcount)


def correct(session: Session, lease: Lease, written: Tally, expected: Tally) -> None:
    """Put on the slice what was written instead of what was expected."""
    difference = Tally(
        success=written.success - expected.success,
        failed=written.failed - expected.failed,
        cancelled=written.cancelled - expected.cancelled,
        sent=written.sent - expected.sent,
        between_steps=written.between_steps,
        claims=written.claims,
    )
    execute(
        session,
        SliceStatements.of(session).count,
        p_job_id=lease.job_id,
        p_number=lease.number,
        p_epoch=lease.epoch,
        **difference.parameters(),
    )


def remaining(session: Session, lease: Lease, now: datetime) -> Remaining:
    """What remains of the slice, of which nobody is in flight."""
    found = execute(
        session,
        RecipientStatements.of(session).remaining,
        p_org_id=lease.org_id,
        p_job_id=lease.job_id,
        p_number=lease.number,
        p_now=now,
    )
    return Remaining(*found.one())


def _tally(counts: Mapping[AutomationStatus, int], sent: int, between_steps: int, claims: Claims) -> Tally:
    return Tally(
        success=counts.get(AutomationStatus.SUCCESS, 0),
        failed=counts.get(AutomationStatus.FAILED, 0),
        cancelled=counts.get(AutomationStatus.CANCELLED, 0),
        sent=sent,
        between_steps=between_steps,
        claims=claims,
    )


def _scope(lease: Lease, now: datetime) -> dict[str, Any]:
    return {"p_job_id": lease.job_id, "p_number": lease.number, "p_now": now}


def _place(sequence: SequenceStep) -> dict[str, Any]:
    """The touchpoint that recipients were claimed for."""
    step = sequence.step
    return {"p_at": step.touchpoint_id, "p_at_step": step.index, "p_variant": sequence.variant}


def _to(following: NextStep) -> dict[str, Any]:
    return {
        "p_touchpoint_id": following.step.touchpoint_id,
        "p_step": following.step.index,
        "p_due_at": following.due_at,
    }
