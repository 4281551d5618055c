"""How recipients of a flow of several touchpoints move on: in set operations, under a held slice.

Promises:
- Whoever was run through a touchpoint has it in the history: what was delivered there (success), or that its condition
  did not let them through (skipped), with the touchpoint. It is written in the transaction that moves them on.
- Each touchpoint has an execution of its own: a fresh id, for whoever recognises repeats by it, and attempts from one.
- A flow of one message costs none of this: its executions stand on the recipients alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from engine.delivery.recipient_statements import RecipientStatements
from engine.delivery.step_statements import StepStatements
from engine.delivery.written import execute
from state.transitions import AutomationStatus

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.delivery.contact import Contact
    from engine.delivery.course import Landing, Step
    from engine.delivery.slices import Lease

__all__ = ["Moved", "been_through", "claim", "deliver", "move", "read_claims", "skip"]


class Moved(NamedTuple):
    """What a move came to, in recipients."""

    finished: int = 0
    """Of these the flow is over: success."""
    placed: int = 0
    """These are at another touchpoint now, in progress."""


def claim(
    session: Session,
    lease: Lease,
    entity_ids: list[UUID],
    *,
    at: UUID | None,
    step: Step,
    variant: str | None,
    now: datetime,
    again: bool,
) -> dict[UUID, tuple[UUID | None, int]]:
    """As `waves.claim`, for recipients that are `at` a touchpoint (None: nowhere yet) and to be run through `step`."""
    ours = StepStatements.of(session)
    claimed = execute(
        session,
        ours.claim_again if again else ours.claim,
        p_keys=entity_ids,
        p_from=at,
        p_touchpoint_id=step.touchpoint_id,
        p_step=step.index,
        p_variant=variant,
        **_scope(lease, now),
    )
    return read_claims(claimed.all())


def read_claims(claimed: Iterable[Sequence[Any]]) -> dict[UUID, tuple[UUID | None, int]]:
    """What a statement that claims returned, as `waves.claim` gives it."""
    return {
        entity_id: (execution_id if deleted_at is None else None, attempt)
        for entity_id, execution_id, attempt, deleted_at in claimed
    }


def deliver(
    session: Session,
    lease: Lease,
    entity_ids: list[UUID],
    *,
    step: Step,
    variant: str | None,
    landing: Landing | None,
    contact: Contact,
    now: datetime,
) -> int:
    """Recipients in flight were delivered to: into the history, and on to `landing` (None: success). Returns how many
    there were; whoever's status somebody changed meanwhile stays as they are.
    """
    ours = StepStatements.of(session)
    scope = _scope(lease, now)
    kept = {"p_at": step.touchpoint_id, "p_at_step": step.index, "p_variant": variant}
    execute(session, ours.keep_delivered, p_keys=entity_ids, **kept, **scope)
    if landing is None:
        ended = {"p_refund": 0, "p_due_at": None, **contact.parameters(now)}
        moved = execute(
            session,
            RecipientStatements.of(session).settle[AutomationStatus.SUCCESS],
            p_keys=entity_ids,
            **ended,
            **scope,
        )
    else:
        moved = execute(
            session,
            ours.place_delivered,
            p_keys=entity_ids,
            **_to(landing),
            **contact.parameters(now),
            **scope,
        )
    count: int = moved.rowcount
    return count


def skip(
    session: Session,
    lease: Lease,
    entity_ids: list[UUID],
    *,
    at: UUID | None,
    step: Step,
    landing: Landing | None,
    now: datetime,
) -> Moved:
    """The condition of `step` does not let these through: into the history, and on to `landing` (None: success)."""
    ours = StepStatements.of(session)
    kept = {"p_at": step.touchpoint_id, "p_at_step": step.index, "p_variant": None, "p_from": at}
    execute(session, ours.keep_skipped, p_keys=entity_ids, **kept, **_scope(lease, now))
    return move(session, lease, entity_ids, at=at, landing=landing, now=now)


def move(
    session: Session,
    lease: Lease,
    entity_ids: list[UUID],
    *,
    at: UUID | None,
    landing: Landing | None,
    now: datetime,
    leaves: int | None = None,
) -> Moved:
    """Recipients that nobody holds go on from `at` to `landing` (None: the flow is over for them).

    Args:
        leaves: The place of `at` when it is a touchpoint that is not run any more: what was tried there goes into
            the history.
    """
    ours = StepStatements.of(session)
    scope: dict[str, Any] = {"p_from": at, **_scope(lease, now)}
    if leaves is not None:
        left = {"p_at": at, "p_at_step": leaves, "p_variant": None}
        execute(session, ours.keep_left, p_keys=entity_ids, **left, **scope)
    if landing is not None:
        placed = execute(session, ours.place, p_keys=entity_ids, **_to(landing), **scope).rowcount
        return Moved(placed=placed)
    execute(session, ours.begin, p_keys=entity_ids, **scope)
    return Moved(finished=execute(session, ours.finish, p_keys=entity_ids, **scope).rowcount)


def been_through(session: Session, lease: Lease, step: Step, entity_ids: Sequence[UUID]) -> Collection[UUID]:
    """Those who were run through a touchpoint before it was moved to where they would come to it again."""
    found = execute(
        session,
        StepStatements.of(session).been_through,
        p_campaign_id=lease.campaign_id,
        p_touchpoint_id=step.touchpoint_id,
        p_ids=list(entity_ids),
    )
    return set(found.scalars())


def _scope(lease: Lease, now: datetime) -> dict[str, Any]:
    return {"p_job_id": lease.job_id, "p_number": lease.number, "p_now": now}


def _to(landing: Landing) -> dict[str, Any]:
    return {
        "p_touchpoint_id": landing.step.touchpoint_id,
        "p_step": landing.step.index,
        "p_due_at": landing.due_at,
    }
