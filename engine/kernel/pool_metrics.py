"""`muster_database_connections`: the connection pools of this process, as they are at each scrape."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakSet

from prometheus_client import REGISTRY
from prometheus_client.registry import Collector
from sqlalchemy.pool import QueuePool

from engine.kernel import metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric

    from state.database import Database

__all__ = ["watch_pool"]


class _Pools(Collector):
    def __init__(self) -> None:
        self.databases: WeakSet[Database] = WeakSet()

    def describe(self) -> list[Metric]:
        """Nothing beforehand: there are no pools yet."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Ask each pool."""
        pools = [pool for one in [*self.databases] if isinstance(pool := one.engine.pool, QueuePool)]
        family = metrics.DATABASE_CONNECTIONS.gauge()
        family.add_metric(("in_use",), sum(pool.checkedout() for pool in pools))
        family.add_metric(("idle",), sum(pool.checkedin() for pool in pools))
        family.add_metric(("most",), sum(pool.size() for pool in pools))
        yield family


_POOLS = _Pools()
REGISTRY.register(_POOLS)


def watch_pool(database: Database) -> None:
    """Show a database's pool from now on, for as long as it is in use."""
    _POOLS.databases.add(database)
