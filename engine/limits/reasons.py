"""Why a campaign waits, or is no faster: in a list that people can read, from what workers wrote down.

Nothing is asked of Redis and no recipient is counted: jobs, their slices that wait, the channels they send through.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, or_, select

from engine.limits.adaptive import Slowdown
from engine.limits.terms import read_terms
from state.change import clock_of
from state.tables import Channel, DomainThrottle, Job, Slice, Touchpoint
from state.transitions import SENDING, SliceState

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

__all__ = ["Reason", "why_it_waits"]

#: Mail domains named at most; the rest is counted.
_DOMAINS = 20


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that holds a campaign back."""

    kind: str
    """paused, breaker, throttled, limit, quiet_hours or unavailable."""
    text: str
    until: datetime | None = None
    """When it is over, as far as anybody knows."""
    since: datetime | None = None
    waits: bool = True
    """False: it goes on, only more slowly."""


def why_it_waits(session: Session, org_id: UUID, campaign_id: UUID) -> list[Reason]:
    """What holds a campaign's open jobs back now; empty when nothing does. A handful of statements by index.

    Kinds: `paused`; `breaker` since; `throttled` until; `limit` until, or how fast it is held to; `quiet_hours` until;
    `unavailable` (no channel, no template) until.
    """
    now = clock_of(session).now()
    jobs = list(
        session.execute(
            select(Job).where(
                Job.org_id == org_id,
                Job.campaign_id == campaign_id,
                Job.status.in_(SENDING),
            )
        ).scalars()
    )
    if not jobs:
        return []
    reasons = []
    if any(job.held for job in jobs):
        reasons.append(Reason("paused", "paused, until it is resumed"))
    channels = _channels(session, org_id, jobs)
    for channel in channels:
        reasons += _of_channel(channel, now)
    blocked = {reason.kind for reason in reasons}
    for job in jobs:
        kind = job.waits_for or "unavailable"
        if job.waits_until is not None and job.waits_until > now and kind not in blocked:
            reasons.append(Reason(kind, job.waits_reason or "", job.waits_until))
    reasons += _of_domains(session, org_id, [channel.id for channel in channels], now)
    reasons += _of_slices(session, [job.id for job in jobs], now)
    for channel in channels:
        terms = read_terms(session, org_id, campaign_id, channel.id)
        if terms is not None:
            reasons += [
                Reason("limit", f"at most {bucket.text}", waits=False) for bucket in terms.general(now)
            ]
    return list(dict.fromkeys(reasons))


def _channels(session: Session, org_id: UUID, jobs: list[Job]) -> list[Channel]:
    """Those that the jobs' flows send through; an absent one is the organization's default."""
    steps = session.execute(
        select(Touchpoint.channel_id)
        .where(
            Touchpoint.org_id == org_id,
            Touchpoint.flow_id.in_({job.flow_id for job in jobs}),
            Touchpoint.type != "wait",
        )
        .distinct()
    ).scalars()
    wanted = set(steps)
    default = (
        select(Channel.id)
        .where(Channel.org_id == org_id)
        .order_by(Channel.is_default.desc(), Channel.created_at, Channel.id)
        .limit(1)
        .scalar_subquery()
    )
    named = Channel.id.in_([channel_id for channel_id in wanted if channel_id is not None])
    which = or_(named, Channel.id == default) if None in wanted else named
    return list(
        session.execute(
            select(Channel).where(Channel.org_id == org_id, which).order_by(Channel.name)
        ).scalars()
    )


def _of_channel(channel: Channel, now: datetime) -> list[Reason]:
    until = channel.blocked_until
    if channel.breaker_opened_at is not None:
        text = f"channel {channel.name}: breaker open, {channel.blocked_reason}"
        return [Reason("breaker", text, until, since=channel.breaker_opened_at)]
    if until is not None and until > now:
        return [Reason("throttled", f"channel {channel.name}: {channel.blocked_reason}", until)]
    return []


def _of_domains(session: Session, org_id: UUID, channel_ids: list[UUID], now: datetime) -> list[Reason]:
    found = session.execute(
        select(DomainThrottle)
        .where(DomainThrottle.org_id == org_id, DomainThrottle.channel_id.in_(channel_ids))
        .order_by(DomainThrottle.throttled_until.desc())
        .limit(_DOMAINS)
    ).scalars()
    reasons = []
    for row in found:
        rate = Slowdown(row.rate, row.throttled_until).rate_at(now, ceiling=None)
        if row.throttled_until > now:
            text = f"{row.domain}: {row.reason}"
            reasons.append(Reason("throttled", text, row.throttled_until, since=row.throttled_at))
        elif rate is not None:
            text = f"{row.domain}: at most {rate:,.1f} a second after {row.reason}"
            reasons.append(Reason("throttled", text, since=row.throttled_at, waits=False))
    return reasons


def _of_slices(session: Session, job_ids: list[UUID], now: datetime) -> list[Reason]:
    """Index ix_slice_ready: the jobs' slices that are not due yet."""
    found: Iterable[Any] = session.execute(
        select(Slice.waits_for, func.min(Slice.due_at), func.count())
        .where(
            Slice.job_id.in_(job_ids),
            Slice.state == SliceState.READY,
            Slice.due_at > now,
            Slice.waits_for.is_not(None),
        )
        .group_by(Slice.waits_for)
        .order_by(Slice.waits_for)
    )
    words = {
        "limit": "limits of mail domains",
        "throttled": "mail domains that ask to slow down",
        "quiet_hours": "quiet hours of recipients",
    }
    return [
        Reason(kind, f"{words.get(kind, kind)} keep {count:,} slices", until) for kind, until, count in found
    ]
