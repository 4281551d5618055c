"""Waiting for a channel: throttled by its provider, down, or not usable at all.

- *Down* opens the channel's breaker: nobody sends before `blocked_until`, and the back-off grows with each time in a
  row. Then the breaker is half open: one slice may send a few messages (`probe`), and the first that is delivered
  closes it for everybody.
- *Throttled* stops the channel for as long as the provider says, and lets it go on at a rate that is found
  (engine.limits.adaptive). What concerns one mail domain slows down that domain alone.

The channel's row tells every worker; the job's row says until when and why it waits. Lock order: a leased slice, its
recipients, the organization, the channel, the job.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import func, or_, select, update

from engine.channels.port import Down, Throttled
from engine.delivery.backoff import breaker_delay, quota_delay
from engine.limits.adaptive import FOUND_KEPT, Slowdown, find_rate, pause, slow_down
from engine.limits.buckets import HORIZON
from engine.limits.effective import mark_changed
from state.change import clock_of
from state.sets import insert_into
from state.tables import Channel, DomainThrottle, Job, Slice, Touchpoint
from state.transitions import JobStatus, SliceState

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.delivery.slices import Lease
    from engine.limits.effective import EffectiveLimits
    from engine.limits.pacing import Allowance

__all__ = [
    "PROBE",
    "Slowed",
    "block",
    "has_fallback",
    "probe",
    "recover",
    "resume_waiting_jobs",
    "slow_channel",
    "slow_domain",
    "wait",
]

#: Messages that a half-open breaker lets through.
PROBE = 5
_PROBING = "half open: a few messages are tried"
#: So long after a channel was slowed down, what it sent before that still fills the second that its provider looks at.
_SAME = timedelta(seconds=1)
#: A channel that is asked again later than that, and sooner than this, is far too fast; where nothing of a slice was
#: taken then, it waits as well, twice as long each time.
_AGAIN = timedelta(seconds=3)
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=1), timedelta(minutes=1)


class Slowed(NamedTuple):
    """What slowing a channel down came to."""

    until: datetime | None
    """Nothing may be sent before then; None: the channel goes on, at the rate that was found."""
    begins_empty: bool = False
    """Nothing is leased at that rate for one `HORIZON`: what was sent before it was found counts against it as well, or
    the provider named so short a wait.
    """


def wait(session: Session, lease: Lease, *, until: datetime, reason: str, kind: str) -> None:
    """Let the job claim nothing before `until`.

    Args:
        kind: limit, throttled, breaker or unavailable.
    """
    session.execute(
        update(Job)
        .where(Job.id == lease.job_id, Job.org_id == lease.org_id)
        .values(waits_until=until, waits_reason=reason, waits_for=kind)
        .execution_options(synchronize_session=False)
    )


def block(
    session: Session,
    lease: Lease,
    channel_id: UUID,
    trouble: Throttled | Down,
    *,
    jitter: float,
    job_waits: bool = True,
) -> datetime:
    """Close a channel for a while whose provider is down or whose quota is spent, and let the job wait for it. The
    job also waits as long as a channel does that was slowed down (`slow_channel`). What another worker found out just
    before counts once. Returns until when.

    Args:
        job_waits: False: the job has other channels to go on with.
    """
    now: datetime = clock_of(session).now()
    channel = _lock(session, lease, channel_id)
    if channel is None:
        return now
    reason = f"{trouble.code}: {trouble.text}"[:500]
    if isinstance(trouble, Down) or trouble.quota:
        known = channel.breaker_opened_at is not None and _ahead(channel.blocked_until, now)
        if not known or channel.blocked_reason == _PROBING:
            channel.consecutive_failures += 1
            channel.blocked_until = now + _delay(trouble, channel.consecutive_failures, jitter)
            channel.breaker_opened_at = channel.breaker_opened_at or now
        channel.blocked_reason = reason
        channel.blocked_for = "quota" if isinstance(trouble, Throttled) else "breaker"
    session.flush()
    until = channel.blocked_until or now
    if job_waits:
        kind = channel.blocked_for or "throttled"
        wait(session, lease, until=until, reason=channel.blocked_reason or reason, kind=kind)
    return until


def has_fallback(session: Session, lease: Lease, channel_id: UUID) -> bool:
    """Whether another channel sends while this one is down."""
    found = select(Channel.fallback_channel_id).where(
        Channel.id == channel_id, Channel.org_id == lease.org_id
    )
    return session.execute(found).scalar_one_or_none() is not None


def _delay(trouble: Throttled | Down, failures: int, jitter: float) -> timedelta:
    if isinstance(trouble, Down):
        return breaker_delay(failures, jitter=jitter)
    first = None if trouble.retry_after is None else timedelta(seconds=trouble.retry_after)
    return quota_delay(failures, first, jitter=jitter)


def slow_channel(
    session: Session,
    lease: Lease,
    channel_id: UUID,
    trouble: Throttled,
    *,
    allowance: Allowance,
    observed: float,
    progressed: bool,
) -> Slowed:
    """Let a channel go on at a lower rate, for all workers; what another one found out just before counts once.

    Args:
        allowance: What those were sent by that were refused. What was sent before the rate was found that is known by
            now says nothing of that one.
        observed: Messages a second that the provider took of this process.
        progressed: The slice's provider took any.

    """
    now = clock_of(session).now()
    mark_changed(session, lease.org_id)
    channel = _lock(session, lease, channel_id)
    if channel is None:
        return Slowed(None)
    allowed, known = allowance
    again, last = False, timedelta(0)
    if channel.throttled_at is not None and channel.throttled_at > now - FOUND_KEPT:
        resumed_at = max(channel.throttled_at, channel.blocked_until or channel.throttled_at)
        if known is None or known.since != channel.throttled_at or now < resumed_at + _SAME:
            return Slowed(channel.blocked_until if _ahead(channel.blocked_until, now) else None)
        again = now < resumed_at + max(_AGAIN, timedelta(seconds=4 / (allowed or 1)))
        last = resumed_at - channel.throttled_at
    owners = 1
    if allowed is None:
        leased = select(func.count(Slice.lease_owner.distinct()))
        leased = leased.where(Slice.org_id == lease.org_id, Slice.state == SliceState.LEASED)
        owners = max(session.execute(leased).scalar_one(), 1)
    channel.throttled_rate, channel.returns_to_rate = find_rate(
        allowed, observed * owners, again=again, shared=owners > 1
    )
    channel.throttled_at = now
    channel.blocked_reason = f"{trouble.code}: {trouble.text}"[:500]
    channel.blocked_for = "throttled"
    channel.blocked_until = None
    named = trouble.retry_after or 0.0
    if named > HORIZON:
        channel.blocked_until = now + timedelta(seconds=named)
    elif again and not progressed and not named:
        channel.blocked_until = now + min(max(_FIRST_PAUSE, 2 * last), _LONGEST_PAUSE)
    session.flush()
    return Slowed(channel.blocked_until, begins_empty=allowed is None or 0 < named <= HORIZON)


def probe(session: Session, lease: Lease, channel_id: UUID, *, lasts: timedelta) -> datetime | None:
    """Become the one slice that tries a channel whose breaker is half open; None: it is. Else: when to look again.

    Args:
        lasts: How long nobody else tries, unless the outcome is known sooner.
    """
    now = clock_of(session).now()
    taken = session.execute(
        update(Channel)
        .where(
            Channel.id == channel_id,
            Channel.org_id == lease.org_id,
            Channel.consecutive_failures > 0,
            or_(Channel.blocked_until.is_(None), Channel.blocked_until <= now),
        )
        .values(blocked_until=now + lasts, blocked_reason=_PROBING)
        .execution_options(synchronize_session=False)
    )
    if taken.rowcount:  # type: ignore[attr-defined]
        return None
    found = session.execute(
        select(Channel.blocked_until).where(Channel.id == channel_id, Channel.org_id == lease.org_id)
    ).scalar_one_or_none()
    return found or now


def recover(session: Session, lease: Lease, channel_id: UUID) -> None:
    """Close the breaker: the provider took a message again. Jobs that wait for it are due."""
    closed = session.execute(
        update(Channel)
        .where(Channel.id == channel_id, Channel.org_id == lease.org_id, Channel.consecutive_failures > 0)
        .values(
            blocked_until=None,
            blocked_reason=None,
            blocked_for=None,
            consecutive_failures=0,
            breaker_opened_at=None,
        )
        .execution_options(synchronize_session=False)
    )
    if closed.rowcount:  # type: ignore[attr-defined]
        resume_waiting_jobs(session, lease.org_id, channel_id)


def resume_waiting_jobs(session: Session, org_id: UUID, channel_id: UUID) -> list[UUID]:
    """Make the jobs due that wait and may send through a channel; returns which. The sweeper opens their windows."""
    flows = select(Touchpoint.flow_id).where(
        Touchpoint.org_id == org_id,
        or_(Touchpoint.channel_id == channel_id, Touchpoint.channel_id.is_(None)),
    )
    return list(
        session.execute(
            update(Job)
            .where(
                Job.org_id == org_id,
                Job.status == JobStatus.PROCESSING,
                Job.waits_until.is_not(None),
                Job.flow_id.in_(flows),
            )
            .values(waits_until=clock_of(session).now())
            .returning(Job.id)
            .execution_options(synchronize_session=False)
        ).scalars()
    )


def slow_domain(
    session: Session,
    lease: Lease,
    channel_id: UUID,
    domain: str,
    trouble: Throttled,
    *,
    effective: EffectiveLimits | None,
    observed: float,
) -> DomainThrottle:
    """Slow one mail domain down; returns its throttle, with until when and how many times before it was calm.

    Args:
        observed: Messages a second that the slice sent to it.
    """
    now = clock_of(session).now()
    mark_changed(session, lease.org_id)
    bucket = effective.domain(domain, now) if effective is not None else None
    rate = slow_down(None if bucket is None else bucket.rate, observed)
    fresh = {
        "throttled_at": now,
        "throttled_until": now + pause(trouble.retry_after),
        "rate": rate,
        "failures": 1,
        "reason": f"{trouble.code}: {trouble.text}"[:500],
    }
    session.execute(
        insert_into(session, DomainThrottle)
        .values(org_id=lease.org_id, channel_id=channel_id, domain=domain, **fresh)
        .on_conflict_do_nothing()
    )
    known = session.execute(
        select(DomainThrottle)
        .where(
            DomainThrottle.org_id == lease.org_id,
            DomainThrottle.channel_id == channel_id,
            DomainThrottle.domain == domain,
        )
        .with_for_update()
    ).scalar_one()
    if known.throttled_at == now or known.throttled_until > now:
        return known  # made just now, or what was on the wire when another worker got it
    recovered = Slowdown(known.rate, known.throttled_until).rate_at(now, ceiling=None) is None
    last = None if recovered else known.throttled_until - known.throttled_at
    known.failures += 1
    known.throttled_until = now + pause(trouble.retry_after, last=last)
    known.throttled_at, known.rate, known.reason = now, rate, fresh["reason"]
    session.flush()
    return known


def _lock(session: Session, lease: Lease, channel_id: UUID) -> Channel | None:
    return session.execute(
        select(Channel)
        .where(Channel.id == channel_id, Channel.org_id == lease.org_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).scalar_one_or_none()


def _ahead(instant: datetime | None, now: datetime) -> bool:
    return instant is not None and instant > now
