"""Who must wait when a lease ends: the job, where all of it goes over one channel; else the slice, for that group."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from engine.channels.port import Down, SenderRefused, Throttled
from engine.delivery import health

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.delivery.slice_throttle import SliceThrottle
    from engine.delivery.slices import Lease
    from engine.delivery.work_plan import Remaining, WorkPlan

__all__ = ["NextRun", "block_channels", "next_run_at"]

#: How long an action is left alone whose server is down, or asks to slow down without saying for how long.
_PAUSE = timedelta(seconds=30)


class NextRun(NamedTuple):
    """When a slice is to be taken again, and what keeps it."""

    due_at: datetime | None
    """None: nothing remains of it."""
    waits_for: str | None


def block_channels(
    session: Session,
    lease: Lease,
    plan: WorkPlan,
    troubles: Mapping[UUID, Throttled | SenderRefused | Down],
    throttles: Mapping[UUID, SliceThrottle],
    *,
    jitter: float,
    now: datetime,
) -> None:
    """Close the channels that had trouble, for everybody, and note who must wait for them, or for limits."""
    flow = plan.flow
    alone = flow.channels <= 1
    for channel_id, trouble in troubles.items():
        if isinstance(trouble, SenderRefused):
            continue  # the campaign is paused, the channel is well
        if channel_id in flow.actions:
            asked = trouble.retry_after if isinstance(trouble, Throttled) else None
            plan.set_aside(now + (_PAUSE if asked is None else timedelta(seconds=asked)))
            continue
        opens = isinstance(trouble, Down) or trouble.quota
        stands_in = opens and health.has_fallback(session, lease, channel_id)
        until = health.block(
            session,
            lease,
            channel_id,
            trouble,
            jitter=jitter,
            job_waits=alone and not stands_in,
        )
        if stands_in:
            plan.more_due = True
        elif not alone:
            plan.set_aside(until)
    for throttle in throttles.values():
        wait = throttle.wait
        if wait is None:
            continue
        if not alone:
            plan.set_aside(wait.until)
        elif wait.everybody:
            health.wait(session, lease, until=wait.until, reason=wait.text, kind=wait.kind)


def next_run_at(
    plan: WorkPlan, throttles: Mapping[UUID, SliceThrottle], remaining: Remaining, now: datetime
) -> NextRun:
    """When the slice is to be taken again."""
    due_at, waits_for = plan.next_run_at(remaining, now), None
    for throttle in throttles.values():
        if plan.flow.channels <= 1:
            due_at, waits_for = throttle.next_run_at(due_at)
        elif throttle.wait is not None:
            waits_for = throttle.wait.kind
    return NextRun(due_at, waits_for)
