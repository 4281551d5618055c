"""Every metric of Muster, once: name, type, labels and meaning. docs/metrics.md is made from this table.

What a process counts or measures by itself is an object of the client library, made by `counter`, `histogram` and
`settable`. What stands in the database is read at each scrape of the API (engine.insight.standing_metrics) and shown by
`gauge`. Nothing else makes a metric, so that none is undocumented.

Labels are bounded: kinds of channels, statuses, routes, names of actors. Codes of outcomes come from providers, so
each process shows at most `MOST_CODES` of them and counts the others as `OTHER`. Ids and names of organizations and
channels are labels of the metrics in `Group.ORGANIZATIONS` alone, which `MUSTER_METRICS_BY_ORGANIZATION` switches on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from threading import Lock
from typing import TYPE_CHECKING

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CATALOGUE", "MOST_CODES", "OTHER", "BoundedLabel", "Group", "Kind", "Metric"]

# A series beside each counter that says when it began: Prometheus sees that by itself.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no types for it

#: Codes of outcomes that one process shows.
MOST_CODES = 100
#: The label of those beyond.
OTHER = "other"


class Kind(StrEnum):
    """What Prometheus calls a metric's type."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Group(StrEnum):
    """A heading of docs/metrics.md: what a metric is about, and whose `/metrics` shows it."""

    DELIVERY = "Delivery, counted by each worker"
    WORKERS = "Processes, counted by each"
    JOBS = "Jobs, read from the database by the API"
    CHANNELS = "Channels, read from the database by the API"
    EVENTS = "Events and webhooks"
    CHORES = "Chores, counted by the scheduler"
    API = "Requests, counted by each API process"
    ORGANIZATIONS = "Of single organizations, with MUSTER_METRICS_BY_ORGANIZATION=true"


#: Every metric, in the order of docs/metrics.md.
CATALOGUE: list[Metric] = []


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: Without the `_total` that Prometheus gives a counter.
        help: What it counts or measures, with its unit.
        labels: What each holds, by name, in their order.
        buckets: Upper bounds of a histogram, in seconds.
    """

    name: str
    kind: Kind
    group: Group
    help: str
    labels: Mapping[str, str] = field(default_factory=dict)
    buckets: tuple[float, ...] = Histogram.DEFAULT_BUCKETS

    def __post_init__(self) -> None:
        CATALOGUE.append(self)

    @property
    def shown_as(self) -> str:
        """The name in a scrape."""
        return f"{self.name}_total" if self.kind is Kind.COUNTER else self.name

    def counter(self, registry: CollectorRegistry = REGISTRY) -> Counter:
        """What counts it in this process."""
        return Counter(self.name, self.help, tuple(self.labels), registry=registry)

    def histogram(self, registry: CollectorRegistry = REGISTRY) -> Histogram:
        """What measures it in this process."""
        return Histogram(self.name, self.help, tuple(self.labels), buckets=self.buckets, registry=registry)

    def settable(self, registry: CollectorRegistry = REGISTRY) -> Gauge:
        """A gauge that this process sets."""
        return Gauge(self.name, self.help, tuple(self.labels), registry=registry)

    def gauge(self) -> GaugeMetricFamily:
        """An empty family for one scrape; fill it with `add_metric`."""
        return GaugeMetricFamily(self.name, self.help, labels=tuple(self.labels))


class BoundedLabel:
    """A label whose values come from outside: the first `most` of a process are shown, the others are `OTHER`."""

    def __init__(self, most: int = MOST_CODES) -> None:
        self._most = most
        self._known: set[str] = set()
        self._lock = Lock()

    def of(self, value: str) -> str:
        """The label of a value."""
        if value in self._known:
            return value
        with self._lock:
            if len(self._known) >= self._most:
                return OTHER
            self._known.add(value)
        return value


_STEPS = (0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60)

OUTCOMES = Metric(
    "muster_outcomes",
    Kind.COUNTER,
    Group.DELIVERY,
    "Outcomes of messages. Its rate is the messages a second",
    {
        "kind": "kind of channel (`smtp`, `http` …), or `http_request` for an action",
        "outcome": "`delivered`, `rejected`, `deferred`, `throttled`, `sender_refused`, `down` or `doubtful`",
        "code": "the code as in `error_code`; empty for `delivered`",
        "scope": "whom the outcome is about: `mailbox`, `domain`, `provider`, `sender` or `channel`",
    },
)
PROVIDER_SECONDS = Metric(
    "muster_provider_seconds",
    Kind.HISTOGRAM,
    Group.DELIVERY,
    "Time from handing one message to a connection of its channel until its outcome, connecting included",
    {"kind": "kind of channel"},
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
WAVE_SECONDS = Metric(
    "muster_wave_seconds",
    Kind.HISTOGRAM,
    Group.DELIVERY,
    "Time from handing a wave to its channel until the last of its outcomes",
    {"kind": "kind of channel"},
    buckets=_STEPS,
)
LEASES_LOST = Metric(
    "muster_leases_lost",
    Kind.COUNTER,
    Group.DELIVERY,
    "Leases that ended before their worker was done: it was silent for longer than MUSTER_LEASE",
)
WAKEUPS = Metric(
    "muster_wakeups",
    Kind.COUNTER,
    Group.WORKERS,
    "Wake-ups worked on",
    {"actor": "the actor: `execute_slice` …", "result": "`done` or `failed`"},
)
WAKEUP_SECONDS = Metric(
    "muster_wakeup_seconds",
    Kind.HISTOGRAM,
    Group.WORKERS,
    "Time spent on a wake-up",
    {"actor": "the actor"},
    buckets=_STEPS,
)
WAKEUPS_NOT_SENT = Metric(
    "muster_wakeups_not_sent",
    Kind.COUNTER,
    Group.WORKERS,
    "Wake-ups that the broker did not take; the sweeper sends them again",
)
DATABASE_CONNECTIONS = Metric(
    "muster_database_connections",
    Kind.GAUGE,
    Group.WORKERS,
    "Connections of the process's pool",
    {"state": "`in_use`, `idle`, or `most` (MUSTER_DATABASE_POOL)"},
)
DATABASE_LOSSES = Metric(
    "muster_database_losses",
    Kind.COUNTER,
    Group.WORKERS,
    "Transactions of a lease that met a database that was away, and were tried again",
)
MAILBOX_MESSAGES = Metric(
    "muster_mailbox_messages",
    Kind.COUNTER,
    Group.WORKERS,
    "Messages read from channels' mailboxes",
    {"result": "`taken`, `too_long`, `unreadable` or `failed`; what was not taken stays in the mailbox"},
)
INTAKE_EVENTS = Metric(
    "muster_intake_events",
    Kind.COUNTER,
    Group.EVENTS,
    "Events that `muster intake` read from a broker",
    {
        "result": "`accepted`, `duplicate`, `ignored`, `rejected` or `failed`; the last two are among the dead letters"
    },
)
MAILBOX_FAILURES = Metric(
    "muster_mailbox_failures",
    Kind.COUNTER,
    Group.WORKERS,
    "Rounds in which a mailbox could not be read",
)
UP = Metric(
    "muster_up",
    Kind.GAUGE,
    Group.JOBS,
    "1 if the service answered this scrape, else 0; then its numbers are left out",
    {"service": "`database` or `broker`"},
)
JOBS = Metric(
    "muster_jobs",
    Kind.GAUGE,
    Group.JOBS,
    "Jobs",
    {"status": "the statuses of docs/life-cycles.md"},
)
JOBS_HELD = Metric(
    "muster_jobs_held",
    Kind.GAUGE,
    Group.JOBS,
    "Running jobs that are paused, by what paused them",
    {"reason": "`sender` (its sender is refused), `returns` (too much came back), `budget`, or `person`"},
)
JOBS_WAITING = Metric(
    "muster_jobs_waiting",
    Kind.GAUGE,
    Group.JOBS,
    "Running jobs whose channel keeps them waiting, by why",
    {"reason": "`limit`, `throttled`, `quota`, `warm_up`, `breaker` or `unavailable`"},
)
RECIPIENTS = Metric(
    "muster_recipients",
    Kind.GAUGE,
    Group.JOBS,
    "Recipients of the jobs that are kept, by status",
    {"status": "`success`, `failed`, `cancelled`, or `open`"},
)
SLICES = Metric(
    "muster_slices",
    Kind.GAUGE,
    Group.JOBS,
    "Slices of running jobs that are not done",
    {"state": "`ready` or `leased`"},
)
WINDOW_SLICES = Metric(
    "muster_window_slices",
    Kind.GAUGE,
    Group.JOBS,
    "The windows of running jobs, in slices: how many may be in flight, and how many are",
    {"use": "`most` or `in_flight`"},
)
OLDEST_DUE = Metric(
    "muster_oldest_due_seconds",
    Kind.GAUGE,
    Group.JOBS,
    "How long the slice has been due that has waited longest for a worker, of jobs that nothing keeps waiting; 0: none"
    " waits. More than a minute: there are too few workers",
)
LEASES_EXPIRED = Metric(
    "muster_leases_expired",
    Kind.GAUGE,
    Group.JOBS,
    "Leases past their end that the sweeper has not taken back yet",
)
QUEUE_DEPTH = Metric(
    "muster_queue_depth",
    Kind.GAUGE,
    Group.JOBS,
    "Wake-ups that wait in the broker",
    {"queue": "the queue"},
)
PROCESSES = Metric(
    "muster_processes",
    Kind.GAUGE,
    Group.JOBS,
    "Processes seen within the last half minute",
    {"kind": "`api`, `worker` or `scheduler`"},
)
PROCESS_LAST_SEEN = Metric(
    "muster_process_last_seen_timestamp_seconds",
    Kind.GAUGE,
    Group.JOBS,
    "When a process of the kind was last seen, Unix time",
    {"kind": "`api`, `worker` or `scheduler`"},
)
CHANNELS = Metric(
    "muster_channels",
    Kind.GAUGE,
    Group.CHANNELS,
    "Channels, by how they stand",
    {
        "kind": "kind of channel",
        "state": "`working`, `slowed` (it keeps to a rate that it found), `throttled`, `warm_up`, `quota` or `breaker`",
    },
)
THROTTLED_DOMAINS = Metric(
    "muster_throttled_domains",
    Kind.GAUGE,
    Group.CHANNELS,
    "Mail domains and mailbox providers that nothing is sent to for now, by their channel's kind",
    {"kind": "kind of channel"},
)
EVENTS_UNDISTRIBUTED = Metric(
    "muster_events_undistributed_seconds",
    Kind.GAUGE,
    Group.EVENTS,
    "Age of the oldest event that has not been handed to webhooks and live streams yet; 0: there is none",
)
WEBHOOKS_OVERDUE = Metric(
    "muster_webhook_overdue_seconds",
    Kind.GAUGE,
    Group.EVENTS,
    "How long the delivery to a webhook has been due that has waited longest; 0: none is due",
)
WEBHOOKS = Metric(
    "muster_webhooks",
    Kind.GAUGE,
    Group.EVENTS,
    "Webhooks, by how they stand",
    {"state": "`working`, `failing` (every attempt fails), `disabled` (by Muster) or `off` (by a person)"},
)
WEBHOOK_DELIVERIES = Metric(
    "muster_webhook_deliveries",
    Kind.COUNTER,
    Group.EVENTS,
    "Attempts to tell a webhook, counted by each worker",
    {"result": "`delivered` or `failed`"},
)
CHORE_SECONDS = Metric(
    "muster_chore_seconds",
    Kind.GAUGE,
    Group.CHORES,
    "Time the chore took when it was last done",
    {"chore": "the chore, as `muster doctor` lists them"},
)
CHORE_LAST_SUCCESS = Metric(
    "muster_chore_last_success_timestamp_seconds",
    Kind.GAUGE,
    Group.CHORES,
    "When the chore last succeeded, Unix time",
    {"chore": "the chore"},
)
CHORE_FAILURES = Metric(
    "muster_chore_failures",
    Kind.COUNTER,
    Group.CHORES,
    "Times the chore failed",
    {"chore": "the chore"},
)
API_REQUESTS = Metric(
    "muster_api_requests",
    Kind.COUNTER,
    Group.API,
    "Requests answered",
    {
        "method": "the method",
        "route": "the route's pattern, so that ids make no series",
        "status": "the status code",
    },
)
API_REQUEST_SECONDS = Metric(
    "muster_api_request_seconds",
    Kind.HISTOGRAM,
    Group.API,
    "Time to answer",
    {"method": "the method", "route": "the route's pattern"},
)
ORGANIZATION_RECIPIENTS = Metric(
    "muster_organization_recipients",
    Kind.GAUGE,
    Group.ORGANIZATIONS,
    "Recipients of an organization's jobs that are kept, by status",
    {"organization": "the organization's name", "status": "`success`, `failed`, `cancelled` or `open`"},
)
ORGANIZATION_OLDEST_DUE = Metric(
    "muster_organization_oldest_due_seconds",
    Kind.GAUGE,
    Group.ORGANIZATIONS,
    "`muster_oldest_due_seconds` of one organization; absent: none of its slices waits",
    {"organization": "the organization's name"},
)
CHANNEL_FOUND_RATE = Metric(
    "muster_channel_found_rate",
    Kind.GAUGE,
    Group.ORGANIZATIONS,
    "Messages a second that a channel found its provider to take when it was last asked to slow down",
    {"organization": "the organization's name", "channel": "the channel's name"},
)
CHANNEL_BLOCKED = Metric(
    "muster_channel_blocked_seconds",
    Kind.GAUGE,
    Group.ORGANIZATIONS,
    "How much longer nothing is sent over a channel",
    {
        "organization": "the organization's name",
        "channel": "the channel's name",
        "reason": "`throttled`, `warm_up`, `quota` or `breaker`",
    },
)
