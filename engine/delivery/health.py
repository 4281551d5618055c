"""Waiting for a channel: throttled by its provider, down, or not usable at all.

The channel's row tells every worker; the job's row says until when and why it waits. The breaker's back-off grows
with each time in a row that the provider was down, and the first delivered message closes it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import update

from engine.channels.port import Down, Throttled
from engine.delivery.backoff import breaker_delay
from state.change import clock_of
from state.tables import Channel, Job

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.delivery.slices import Lease

__all__ = ["block", "recover", "wait"]

#: How long a throttled channel waits when the provider does not say.
_THROTTLE = timedelta(seconds=10)


def wait(session: Session, lease: Lease, *, until: datetime, reason: str) -> None:
    """Let the job claim nothing before `until`."""
    session.execute(
        update(Job)
        .where(Job.id == lease.job_id, Job.org_id == lease.org_id)
        .values(waits_until=until, waits_reason=reason)
        .execution_options(synchronize_session=False)
    )


def block(
    session: Session,
    lease: Lease,
    channel_id: UUID,
    trouble: Throttled | Down,
    *,
    failures: int,
    jitter: float,
) -> None:
    """Close a channel for a while, and let the job wait for it.

    Args:
        failures: How many times in a row the provider had been down before this.
    """
    now = clock_of(session).now()
    if isinstance(trouble, Down):
        delay = breaker_delay(failures + 1, jitter=jitter)
        count = failures + 1
    else:
        delay = _THROTTLE if trouble.retry_after is None else timedelta(seconds=trouble.retry_after)
        count = failures
    reason = f"{trouble.code}: {trouble.text}"[:500]
    session.execute(
        update(Channel)
        .where(Channel.id == channel_id, Channel.org_id == lease.org_id)
        .values(blocked_until=now + delay, blocked_reason=reason, consecutive_failures=count)
        .execution_options(synchronize_session=False)
    )
    wait(session, lease, until=now + delay, reason=reason)


def recover(session: Session, lease: Lease, channel_id: UUID) -> None:
    """Close the breaker: the provider took a message again."""
    session.execute(
        update(Channel)
        .where(Channel.id == channel_id, Channel.org_id == lease.org_id, Channel.consecutive_failures > 0)
        .values(blocked_until=None, blocked_reason=None, consecutive_failures=0)
        .execution_options(synchronize_session=False)
    )
