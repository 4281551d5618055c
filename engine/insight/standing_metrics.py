"""Metrics of what stands in the database, read once a scrape of the API: jobs, slices, processes, channels, webhooks.

No recipient is looked at: a dozen statements over jobs that are kept, slices that are in flight or due, channels and
webhooks, whatever the size of campaigns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, case, func, or_, select

from engine.insight.channel_states import channel_state_expression
from engine.kernel import metrics
from engine.kernel.heartbeat import last_seen, running_processes
from engine.limits.adaptive import FOUND_KEPT
from state.change import clock_of
from state.tables import (
    Campaign,
    Channel,
    DomainThrottle,
    Event,
    Job,
    Organization,
    Slice,
    Webhook,
    WebhookLane,
)
from state.transitions import JobStatus, SliceState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from typing import Any

    from prometheus_client.core import GaugeMetricFamily
    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

    from engine.kernel.metrics import Metric

__all__ = ["of_organizations", "standing"]

#: Series of single organizations and channels at most.
_MOST = 1000
#: What `job.waits_for` says of a job that its campaign's faults paused.
_FAULTS = ("sender", "returns")

_RUNNING = Job.status == JobStatus.PROCESSING


def standing(session: Session) -> list[GaugeMetricFamily]:
    """Everything but single organizations."""
    now = clock_of(session).now()
    return [
        *_jobs(session, now),
        *_slices(session, now),
        *_processes(session),
        *_channels(session, now),
        *_events(session, now),
    ]


def of_organizations(session: Session) -> list[GaugeMetricFamily]:
    """What single organizations and channels show; of more than 1,000 the first by name."""
    now = clock_of(session).now()
    recipients = metrics.ORGANIZATION_RECIPIENTS.gauge()
    sums = select(Job.org_id, *_sums()).group_by(Job.org_id).subquery()
    rows = session.execute(
        select(Organization.name, *list(sums.c)[1:])
        .join(sums, sums.c.org_id == Organization.id)
        .order_by(Organization.name, Organization.id)
        .limit(_MOST)
    )
    for name, *counts in rows:
        for status, count in zip(_STATUSES, counts, strict=True):
            recipients.add_metric((name, status), int(count or 0))
    oldest = metrics.ORGANIZATION_OLDEST_DUE.gauge()
    due = (
        select(Job.org_id, func.min(Slice.due_at).label("due_at"))
        .join(Job, Job.id == Slice.job_id)
        .where(*_may_run(now), Slice.state == SliceState.READY, Slice.due_at <= now)
        .group_by(Job.org_id)
        .subquery()
    )
    for name, instant in session.execute(
        select(Organization.name, due.c.due_at)
        .join(due, due.c.org_id == Organization.id)
        .order_by(Organization.name, Organization.id)
        .limit(_MOST)
    ):
        oldest.add_metric((name,), _age(instant, now))
    return [recipients, oldest, *_single_channels(session, now)]


def _single_channels(session: Session, now: datetime) -> list[GaugeMetricFamily]:
    rates, blocked = metrics.CHANNEL_FOUND_RATE.gauge(), metrics.CHANNEL_BLOCKED.gauge()
    rows = session.execute(
        select(
            Organization.name,
            Channel.name,
            Channel.throttled_at,
            Channel.throttled_rate,
            Channel.blocked_until,
            channel_state_expression(now),
        )
        .join(Organization, Organization.id == Channel.org_id)
        .where(or_(Channel.throttled_at > now - FOUND_KEPT, Channel.blocked_until > now))
        .order_by(Organization.name, Channel.name, Channel.id)
        .limit(_MOST)
    )
    for organization, channel, throttled_at, rate, until, state in rows:
        if rate is not None and throttled_at is not None and throttled_at > now - FOUND_KEPT:
            rates.add_metric((organization, channel), rate)
        if until is not None and until > now:
            blocked.add_metric((organization, channel, state), (until - now).total_seconds())
    return [rates, blocked]


_STATUSES = ("success", "failed", "cancelled", "open")


def _sums() -> list[ColumnElement[Any]]:
    """Recipients by `_STATUSES`."""
    settled = Job.success + Job.failed + Job.cancelled
    return [func.sum(one) for one in (Job.success, Job.failed, Job.cancelled, Job.total - settled)]


def _jobs(session: Session, now: datetime) -> list[GaugeMetricFamily]:
    jobs, recipients = metrics.JOBS.gauge(), metrics.RECIPIENTS.gauge()
    rows = session.execute(select(Job.status, func.count(), *_sums()).group_by(Job.status)).all()
    counts: dict[str, int] = {status: int(count) for status, count, *_ in rows}
    for one in JobStatus:
        jobs.add_metric((one,), counts.get(one, 0))
    for index, status in enumerate(_STATUSES, start=2):
        recipients.add_metric((status,), sum(int(row[index] or 0) for row in rows))
    paused_by = case(
        (Job.waits_for.in_(_FAULTS), Job.waits_for),
        (Campaign.paused_by == "budget", "budget"),
        else_="person",
    )
    held: dict[str, int] = dict(
        session.execute(
            select(paused_by, func.count())
            .join(Campaign, Campaign.id == Job.campaign_id)
            .where(_RUNNING, Job.held)
            .group_by(paused_by)
        ).all()
    )
    waiting = dict(
        session.execute(
            select(Job.waits_for, func.count())
            .where(_RUNNING, Job.held.is_(False), Job.waits_until > now)
            .group_by(Job.waits_for)
        ).all()
    )
    reasons = ("limit", "throttled", "quota", "warm_up", "breaker", "unavailable")
    return [
        jobs,
        recipients,
        _family(metrics.JOBS_HELD, held, (*_FAULTS, "budget", "person")),
        _family(metrics.JOBS_WAITING, waiting, reasons),
    ]


def _family(metric: Metric, found: dict[Any, int], labels: Sequence[str]) -> GaugeMetricFamily:
    """One series a label; 0 where nothing was found."""
    family = metric.gauge()
    for label in labels:
        family.add_metric((label,), found.get(label, 0))
    return family


def _may_run(now: datetime) -> tuple[ColumnElement[bool], ...]:
    """Jobs that nothing keeps waiting."""
    return (_RUNNING, Job.held.is_(False), or_(Job.waits_until.is_(None), Job.waits_until <= now))


def _slices(session: Session, now: datetime) -> list[GaugeMetricFamily]:
    """Indexes ix_job_open, ix_slice_ready, ix_slice_in_flight and ix_slice_lease."""
    of_running = select(Slice.state, func.count()).join(Job, Job.id == Slice.job_id)
    states = dict(
        session.execute(
            of_running.where(_RUNNING, Slice.state != SliceState.DONE).group_by(Slice.state)
        ).all()
    )
    in_flight = session.execute(
        select(func.count())
        .select_from(Slice)
        .join(Job, Job.id == Slice.job_id)
        .where(_RUNNING, Slice.state != SliceState.DONE, Slice.woken_at.is_not(None))
    ).scalar_one()
    most = session.execute(select(func.sum(func.coalesce(Job.pace, Job.window))).where(_RUNNING)).scalar_one()
    oldest = session.execute(
        select(func.min(Slice.due_at))
        .join(Job, Job.id == Slice.job_id)
        .where(*_may_run(now), Slice.state == SliceState.READY, Slice.due_at <= now)
    ).scalar_one()
    expired = session.execute(
        select(func.count())
        .select_from(Slice)
        .where(Slice.state == SliceState.LEASED, Slice.lease_expires_at < now)
    ).scalar_one()
    window = metrics.WINDOW_SLICES.gauge()
    window.add_metric(("most",), int(most or 0))
    window.add_metric(("in_flight",), in_flight)
    return [
        _family(metrics.SLICES, states, (SliceState.READY, SliceState.LEASED)),
        window,
        _single(metrics.OLDEST_DUE, _age(oldest, now)),
        _single(metrics.LEASES_EXPIRED, expired),
    ]


def _single(metric: Metric, value: float) -> GaugeMetricFamily:
    """A family without labels."""
    family = metric.gauge()
    family.add_metric((), value)
    return family


def _age(instant: datetime | None, now: datetime) -> float:
    """Seconds since then; 0: never."""
    return 0.0 if instant is None else max((now - instant).total_seconds(), 0.0)


def _processes(session: Session) -> list[GaugeMetricFamily]:
    processes, last = metrics.PROCESSES.gauge(), metrics.PROCESS_LAST_SEEN.gauge()
    running = running_processes(session)
    for kind, instant in last_seen(session).items():
        processes.add_metric((kind,), running[kind])
        if instant is not None:
            last.add_metric((kind,), instant.timestamp())
    return [processes, last]


def _channels(session: Session, now: datetime) -> list[GaugeMetricFamily]:
    channels, domains = metrics.CHANNELS.gauge(), metrics.THROTTLED_DOMAINS.gauge()
    state = channel_state_expression(now)
    for kind, found, count in session.execute(
        select(Channel.kind, state, func.count()).group_by(Channel.kind, state)
    ):
        channels.add_metric((kind, found), count)
    for kind, count in session.execute(
        select(Channel.kind, func.count(DomainThrottle.domain))
        .join(
            DomainThrottle,
            and_(DomainThrottle.channel_id == Channel.id, DomainThrottle.throttled_until > now),
            isouter=True,
        )
        .group_by(Channel.kind)
    ):
        domains.add_metric((kind,), count)
    return [channels, domains]


def _events(session: Session, now: datetime) -> list[GaugeMetricFamily]:
    """Indexes ix_event_undistributed and ix_webhook_lane_due."""
    first = select(Event.created_at).where(Event.position.is_(None)).order_by(Event.id).limit(1)
    undistributed = session.execute(first).scalar_one_or_none()
    overdue = session.execute(
        select(func.min(WebhookLane.due_at))
        .join(Webhook, Webhook.id == WebhookLane.webhook_id)
        .where(WebhookLane.due_at <= now, Webhook.active)
    ).scalar_one()
    state = case(
        (and_(Webhook.active, Webhook.failing_since.is_not(None)), "failing"),
        (Webhook.active, "working"),
        (Webhook.disabled_reason.is_not(None), "disabled"),
        else_="off",
    )
    found: dict[str, int] = dict(session.execute(select(state, func.count()).group_by(state)).all())
    return [
        _single(metrics.EVENTS_UNDISTRIBUTED, _age(undistributed, now)),
        _single(metrics.WEBHOOKS_OVERDUE, _age(overdue, now)),
        _family(metrics.WEBHOOKS, found, ("working", "failing", "disabled", "off")),
    ]
