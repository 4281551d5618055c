"""`/metrics`: requests of this process, and how all jobs, recipients and queues stand.

What stands in the database is read at each scrape, in two statements over jobs and open slices; recipients
are not looked at. A database or broker that is away makes its own `up` gauge 0 and leaves its numbers out, so
that a scrape always answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from engine.api.brokers import BrokerAway, queue_depths
from engine.kernel.heartbeat import last_seen, running_processes
from state.tables import Job, Slice
from state.transitions import AutomationStatus, JobStatus, SliceState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric

    from engine.kernel.runtime import Runtime

__all__ = ["Metrics"]


class Metrics:
    """The metrics of one application."""

    def __init__(self, runtime: Runtime) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "muster_api_requests",
            "API requests answered",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "muster_api_request_seconds", "Time to answer", ("method", "route"), registry=self._registry
        )
        self._registry.register(_Standing(runtime))

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request; `route` is its pattern, so that ids make no series of their own."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def text(self) -> bytes:
        """Everything, and what other parts of this process count (a worker in the same one)."""
        return generate_latest(self._registry) + generate_latest(REGISTRY)


class _Standing(Collector):
    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def describe(self) -> list[Metric]:
        """Nothing beforehand: registering must not need the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Read the database and the broker."""
        up = GaugeMetricFamily("muster_up", "Whether the service answers", labels=("service",))
        try:
            families = self._database()
        except DBAPIError:
            families = []
        up.add_metric(("database",), float(bool(families)))
        yield from families
        try:
            depths = queue_depths(self._runtime.settings.broker)
        except BrokerAway:
            depths = None
        up.add_metric(("broker",), float(depths is not None))
        if depths is not None:
            family = GaugeMetricFamily("muster_queue_depth", "Wake-ups that wait", labels=("queue",))
            for queue, depth in depths.items():
                family.add_metric((queue,), depth)
            yield family
        yield up

    def _database(self) -> list[Metric]:
        jobs = GaugeMetricFamily("muster_jobs", "Delivery jobs", labels=("status",))
        settled = GaugeMetricFamily(
            "muster_recipients_settled", "Recipients with an outcome", labels=("outcome",)
        )
        slices = GaugeMetricFamily("muster_slices", "Slices of running jobs", labels=("state",))
        with self._runtime.database.read() as session:
            rows = session.execute(
                select(
                    Job.status,
                    func.count(),
                    func.sum(Job.success),
                    func.sum(Job.failed),
                    func.sum(Job.cancelled),
                ).group_by(Job.status)
            ).all()
            states = session.execute(
                select(Slice.state, func.count())
                .join(Job, Job.id == Slice.job_id)
                .where(Job.status == JobStatus.PROCESSING, Slice.state != SliceState.DONE)
                .group_by(Slice.state)
            ).all()
            running, seen = running_processes(session), last_seen(session)
        counts = {row[0]: int(row[1]) for row in rows}
        for status in JobStatus:
            jobs.add_metric((status,), counts.get(status, 0))
        outcomes = (AutomationStatus.SUCCESS, AutomationStatus.FAILED, AutomationStatus.CANCELLED)
        for index, outcome in enumerate(outcomes, start=2):
            settled.add_metric((outcome,), sum(int(row[index] or 0) for row in rows))
        found = dict(states)
        for state in (SliceState.READY, SliceState.LEASED):
            slices.add_metric((state,), found.get(state, 0))
        processes = GaugeMetricFamily(
            "muster_processes", "Processes seen within the last half minute", labels=("kind",)
        )
        last = GaugeMetricFamily(
            "muster_process_last_seen_timestamp_seconds",
            "When a process of the kind was last seen, Unix time",
            labels=("kind",),
        )
        for kind, instant in seen.items():
            processes.add_metric((kind,), running[kind])
            if instant is not None:
                last.add_metric((kind,), instant.timestamp())
        return [jobs, settled, slices, processes, last]
