"""`/metrics`: requests of this process, and how jobs, processes, channels and webhooks stand (docs/metrics.md).

What stands in the database is read at each scrape (engine.insight.standing_metrics); recipients are not looked at. A
database or broker that is away makes its own `up` gauge 0 and leaves its numbers out, so that a scrape always answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from sqlalchemy.exc import DBAPIError

from engine.api.brokers import BrokerAway, queue_depths
from engine.insight.standing_metrics import of_organizations, standing
from engine.kernel import metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric

    from engine.kernel.runtime import Runtime

__all__ = ["Metrics"]


class Metrics:
    """The metrics of one application."""

    def __init__(self, runtime: Runtime) -> None:
        self._registry = CollectorRegistry()
        self._requests = metrics.API_REQUESTS.counter(self._registry)
        self._seconds = metrics.API_REQUEST_SECONDS.histogram(self._registry)
        self._registry.register(_Standing(runtime))

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request; `route` is its pattern, so that ids make no series of their own."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def text(self, accept: str = "") -> tuple[bytes, str]:
        """Everything, and what other parts of this process count (a worker in the same one); and its media type.

        Args:
            accept: What the scraper takes: OpenMetrics has exemplars.
        """
        encode, media_type = choose_encoder(accept)
        return encode(_Together([self._registry, REGISTRY])), media_type


class _Together(CollectorRegistry):
    """Several registries as one."""

    def __init__(self, registries: list[CollectorRegistry]) -> None:
        super().__init__()
        self._registries = registries

    def collect(self) -> Iterator[Metric]:
        """What each holds."""
        for registry in self._registries:
            yield from registry.collect()


class _Standing(Collector):
    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def describe(self) -> list[Metric]:
        """Nothing beforehand: registering must not need the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Read the database and the broker."""
        up = metrics.UP.gauge()
        families: list[Metric] = []
        try:
            with self._runtime.database.read() as session:
                families += standing(session)
                if self._runtime.settings.metrics_by_organization:
                    families += of_organizations(session)
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
            family = metrics.QUEUE_DEPTH.gauge()
            for queue, depth in depths.items():
                family.add_metric((queue,), depth)
            yield family
        yield up
