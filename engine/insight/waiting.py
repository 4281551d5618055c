"""What a campaign waits for, or is slowed down by: the one list that every view shows.

Each source answers with `Waiting` values from what is written down anyway: nothing is asked of Redis and no recipient
is counted. A further source (a kind of answer that providers give, processes that are not running) is one more function
in `_SOURCES`; the time left (engine.insight.time_left) follows from the values alone.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, or_, select

from engine.insight.scheduled_starts import next_due
from engine.kernel.heartbeat import SILENT_AFTER, absences, last_seen
from engine.limits.adaptive import Slowdown
from engine.limits.effective import read_effective_limits
from engine.limits.mailbox_providers import provider_of_key
from state.change import clock_of
from state.tables import Campaign, Channel, DomainThrottle, Job, ProcessKind, Slice, Touchpoint
from state.transitions import OPEN, SENDING, CampaignStatus, JobStatus, SliceState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.limits.effective import EffectiveLimits

__all__ = ["Scope", "Situation", "Waiting", "situation_of", "waiting_of"]

#: Mail domains named at most.
_DOMAINS = 20
#: What `waits_for` of a held job says, and what that is called: its sender is refused (engine.delivery.sender_refused),
#: or too much of its campaign came back (engine.delivery.return_breaker).
_PAUSED_FOR = {"sender": "sender_refused", "returns": "returned"}


class Scope(StrEnum):
    """What waits: from one recipient to all that Muster does."""

    RECIPIENTS = "recipients"
    MAILBOX = "mailbox"
    DOMAIN = "domain"
    PROVIDER = "provider"
    """A mailbox provider: all mail domains that it receives for."""
    SENDER = "sender"
    CHANNEL = "channel"
    CAMPAIGN = "campaign"
    ORGANIZATION = "organization"
    PROCESSES = "processes"
    """Workers and schedulers."""


#: Scopes that hold some recipients of a campaign and let others go on.
_PARTIAL = frozenset((Scope.RECIPIENTS, Scope.MAILBOX, Scope.DOMAIN, Scope.PROVIDER))


@dataclass(frozen=True, slots=True)
class Waiting:
    """One thing that holds a campaign back."""

    scope: Scope
    code: str
    """paused, sender_refused, returned, planning, scheduled, failed, breaker, quota, warm_up, throttled, limit,
    quiet_hours, unavailable, no_worker or no_scheduler; of other sources: a stable word of theirs."""
    reason: str
    """In words, with the names of what it is about."""
    subject: str = ""
    """Which of the scope: a mail domain, a channel's name. Empty: the campaign's."""
    since: datetime | None = None
    until: datetime | None = None
    """When it is over; absent: nobody can say."""
    rate: float | None = None
    """Messages a second that the scope goes on with; absent: none, or not limited by this."""
    stops: bool = True
    """False: the scope goes on, more slowly."""

    def as_dict(self) -> dict[str, Any]:
        """Its fields without those that are absent; instants in ISO 8601."""
        found = asdict(self) | {"scope": self.scope.value}
        return {
            name: value.isoformat() if hasattr(value, "isoformat") else value
            for name, value in found.items()
            if value not in (None, "")
        }

    @property
    def stops_all(self) -> bool:
        """Whether nothing of the campaign is sent before `until`."""
        return self.stops and self.scope not in _PARTIAL


@dataclass(frozen=True, slots=True)
class Situation:
    """What sources look at."""

    campaign: Campaign
    jobs: Sequence[Job]
    """Its open jobs."""
    last_job: Job | None
    """The newest open one, else the newest."""
    channels: Sequence[Channel]
    """Those that its open jobs send through."""
    limits: Mapping[UUID, EffectiveLimits | None]
    """Of these channels, what limits the campaign there; None: nothing."""
    now: datetime

    @property
    def org_id(self) -> UUID:
        """Whose it is."""
        return self.campaign.org_id

    @property
    def sending(self) -> list[Job]:
        """Its jobs that are to send."""
        return [job for job in self.jobs if job.status in SENDING]


def situation_of(session: Session, campaign: Campaign) -> Situation:
    """A campaign's. Three statements by index, and two a channel."""
    mine = (Job.org_id == campaign.org_id, Job.campaign_id == campaign.id)
    jobs = list(
        session.scalars(
            select(Job).where(*mine, Job.status.in_(OPEN)).order_by(Job.created_at.desc(), Job.id)
        )
    )
    last = jobs[0] if jobs else None
    if last is None:
        last = session.scalars(
            select(Job).where(*mine).order_by(Job.created_at.desc(), Job.id).limit(1)
        ).one_or_none()
    channels = _channels(session, campaign.org_id, jobs) if jobs else []
    limits = {
        one.id: read_effective_limits(session, campaign.org_id, campaign.id, one.id) for one in channels
    }
    return Situation(campaign, jobs, last, channels, limits, clock_of(session).now())


def waiting_of(session: Session, situation: Situation) -> list[Waiting]:
    """What holds a campaign back now, what stops it first; empty when nothing does. Some ten statements by index."""
    found = dict.fromkeys(waiting for source in _SOURCES for waiting in source(session, situation))
    return sorted(found, key=lambda waiting: (not waiting.stops_all, not waiting.stops))


def _of_campaign(session: Session, seen: Situation) -> Iterator[Waiting]:
    """Paused, failed, not planned, not begun."""
    campaign, last = seen.campaign, seen.last_job
    held = [job for job in seen.jobs if job.held]
    if held:
        by = f" by {campaign.paused_by}" if campaign.paused_by else ""
        since = campaign.paused_at if campaign.status == CampaignStatus.PAUSED else None
        at_fault = next((job for job in held if job.waits_for in _PAUSED_FOR), None)
        if at_fault is not None and at_fault.waits_for is not None:
            scope = Scope.SENDER if at_fault.waits_for == "sender" else Scope.CAMPAIGN
            reason = f"it was paused: {at_fault.waits_reason}"
            yield Waiting(scope, _PAUSED_FOR[at_fault.waits_for], reason, since=since)
        else:
            yield Waiting(Scope.CAMPAIGN, "paused", f"it was paused{by}", since=since)
    if last is not None and last.status == JobStatus.FAILED and last.error:
        yield Waiting(Scope.CAMPAIGN, "failed", last.error, since=last.finished_at)
    if not held and any(not job.planned for job in seen.jobs):
        text = "its audience is still being written; the total grows"
        yield Waiting(Scope.CAMPAIGN, "planning", text, stops=False)
    if not seen.jobs:
        scheduled = next_due(session, seen.org_id, [campaign.id]).get(campaign.id)
        if scheduled is not None:
            yield Waiting(Scope.CAMPAIGN, "scheduled", "it starts at its time", until=scheduled.due_at)


def _of_channels(session: Session, seen: Situation) -> Iterator[Waiting]:
    """Providers that are down, or asked the whole channel to slow down."""
    for channel in seen.channels if seen.sending else ():
        until = channel.blocked_until
        if channel.breaker_opened_at is not None:
            code, words = "breaker", "breaker open"
            if channel.blocked_for == "quota":
                code, words = "quota", "its quota is spent; it is expected to go on then"
            text = f"channel {channel.name}: {words}, {channel.blocked_reason}"
            fallback = _fallback_of(session, channel)
            if fallback is not None:
                text += f"; channel {fallback.name} sends meanwhile"
            yield Waiting(
                Scope.CHANNEL,
                code,
                text,
                channel.name,
                since=channel.breaker_opened_at,
                until=until,
                stops=fallback is None or fallback.breaker_opened_at is not None,
            )
        elif until is not None and until > seen.now:
            text = f"channel {channel.name}: {channel.blocked_reason}"
            code = "warm_up" if channel.blocked_for == "warm_up" else "throttled"
            yield Waiting(Scope.CHANNEL, code, text, channel.name, since=channel.throttled_at, until=until)


def _fallback_of(session: Session, channel: Channel) -> Channel | None:
    found = None if channel.fallback_channel_id is None else session.get(Channel, channel.fallback_channel_id)
    return found if found is not None and found.org_id == channel.org_id else None


def _of_jobs(session: Session, seen: Situation) -> Iterator[Waiting]:
    """What workers wrote down on the job: a limit without permits, a channel that cannot be used."""
    known = {waiting.code for waiting in _of_channels(session, seen)}
    for job in seen.sending:
        code = job.waits_for or "unavailable"
        if job.waits_until is not None and job.waits_until > seen.now and code not in known:
            yield Waiting(Scope.CAMPAIGN, code, job.waits_reason or "", until=job.waits_until)


def _of_domains(session: Session, seen: Situation) -> Iterator[Waiting]:
    """Mail domains that asked to slow down."""
    if not seen.sending:
        return
    found = session.scalars(
        select(DomainThrottle)
        .where(
            DomainThrottle.org_id == seen.org_id,
            DomainThrottle.channel_id.in_([channel.id for channel in seen.channels]),
        )
        .order_by(DomainThrottle.throttled_until.desc())
        .limit(_DOMAINS)
    )
    for row in found:
        rate = Slowdown(row.rate, row.throttled_until).rate_at(seen.now, ceiling=None)
        domain, since, scope = row.domain, row.throttled_at, Scope.DOMAIN
        provider = provider_of_key(domain)
        if provider is not None:
            domain, scope = provider.title, Scope.PROVIDER
        if row.throttled_until > seen.now:
            text = f"{domain}: {row.reason}"
            yield Waiting(scope, "throttled", text, domain, since=since, until=row.throttled_until)
        elif rate is not None:
            text = f"{domain}: at most {rate:,.1f} a second after {row.reason}"
            yield Waiting(scope, "throttled", text, domain, since=since, rate=rate, stops=False)


def _of_slices(session: Session, seen: Situation) -> Iterator[Waiting]:
    """Slices that are not due yet. Index ix_slice_ready."""
    job_ids = [job.id for job in seen.sending]
    if not job_ids:
        return
    found: Iterable[Any] = session.execute(
        select(Slice.waits_for, func.min(Slice.due_at), func.count())
        .where(
            Slice.job_id.in_(job_ids),
            Slice.state == SliceState.READY,
            Slice.due_at > seen.now,
            Slice.waits_for.is_not(None),
        )
        .group_by(Slice.waits_for)
        .order_by(Slice.waits_for)
    )
    for code, until, count in found:
        scope, words = _SLICES.get(code, (Scope.RECIPIENTS, code))
        yield Waiting(scope, code, f"{words} keep {count:,} slices", until=until)


_SLICES = {
    "limit": (Scope.DOMAIN, "limits of mail domains"),
    "throttled": (Scope.DOMAIN, "mail domains that ask to slow down"),
    "quiet_hours": (Scope.RECIPIENTS, "send windows and quiet hours of recipients"),
}
_OWNERS = {"channel": Scope.CHANNEL, "campaign": Scope.CAMPAIGN, "organization": Scope.ORGANIZATION}


def _of_limits(_: Session, seen: Situation) -> Iterator[Waiting]:
    """Rates that are configured, or that a provider asked for: it goes on, no faster than that."""
    for channel in seen.channels if seen.sending else ():
        effective = seen.limits[channel.id]
        for bucket in effective.general(seen.now) if effective is not None else ():
            scope = _OWNERS[bucket.key.partition(":")[0]]
            subject = channel.name if scope is Scope.CHANNEL else ""
            text, since = f"at most {bucket.text}", None
            if effective is not None and effective.slowdown is not None and bucket not in effective.rates:
                since = effective.slowdown.since
                text = f"channel {channel.name}: {text}; it said {channel.blocked_reason}"
            yield Waiting(scope, "limit", text, subject, since=since, rate=bucket.rate, stops=False)


def _of_processes(session: Session, seen: Situation) -> Iterator[Waiting]:
    """Workers and schedulers that are not there, or never were, of a campaign that has waited for them for a while.
    Index (kind, seen_at).
    """
    begun = [job.created_at for job in seen.jobs if not job.held]
    if not seen.jobs:
        scheduled = next_due(session, seen.org_id, [seen.campaign.id]).get(seen.campaign.id)
        begun = [] if scheduled is None else [max(scheduled.created_at, scheduled.due_at)]
    if not begun or min(begun) > seen.now - SILENT_AFTER:
        return
    known = last_seen(session)
    for kind, sentence in absences(session).items():
        if seen.jobs or kind is ProcessKind.SCHEDULER:
            stops = kind is ProcessKind.WORKER or not seen.jobs
            yield Waiting(Scope.PROCESSES, f"no_{kind}", sentence, kind, since=known[kind], stops=stops)


_SOURCES = (_of_campaign, _of_channels, _of_jobs, _of_domains, _of_slices, _of_limits, _of_processes)


def _channels(session: Session, org_id: UUID, jobs: Sequence[Job]) -> list[Channel]:
    """Those that the jobs' flows send through; an absent one is the organization's default."""
    wanted = set(
        session.scalars(
            select(Touchpoint.channel_id)
            .where(
                Touchpoint.org_id == org_id,
                Touchpoint.flow_id.in_({job.flow_id for job in jobs}),
                Touchpoint.type != "wait",
            )
            .distinct()
        )
    )
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
        session.scalars(select(Channel).where(Channel.org_id == org_id, which).order_by(Channel.name))
    )
