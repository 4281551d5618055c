"""procrastinate: `procrastinate --app bench.peers.procrastinate_app.app worker`. Asynchronous tasks over a pool, jobs
deferred in bulk and deleted when they succeeded, as its guides for production say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from procrastinate import App, PsycopgConnector
from psycopg_pool import AsyncConnectionPool

from bench.peers import sending, work

if TYPE_CHECKING:
    from procrastinate.types import JSONDict

__all__ = ["app", "deliver", "enqueue"]

_POOL = 20
app = App(connector=PsycopgConnector(conninfo=work.database_url(), min_size=4, max_size=_POOL))
_pools: list[AsyncConnectionPool[Any]] = []


async def _pool() -> AsyncConnectionPool[Any]:
    """This process's connections for the work itself, opened with its first job."""
    if not _pools:
        pool: AsyncConnectionPool[Any] = AsyncConnectionPool(
            work.database_url(), min_size=_POOL, max_size=_POOL, kwargs={"autocommit": True}, open=False
        )
        _pools.append(pool)
        await pool.open()
    return _pools[0]


@app.task(name="deliver")
async def deliver(campaign_id: str, entity_id: str) -> None:
    """As `work.deliver`."""
    async with (await _pool()).connection() as connection:
        claimed = await (await connection.execute(work.CLAIM, (campaign_id, entity_id))).fetchone()
        if claimed is not None:
            work.render(claimed[0])
            await connection.execute(work.SETTLE, (campaign_id, entity_id))


async def enqueue(campaign_id: str, ids: list[str]) -> None:
    """In bulk."""
    async with app.open_async():
        for start in range(0, len(ids), sending.BATCH):
            batch = ids[start : start + sending.BATCH]
            orders: list[JSONDict] = [{"campaign_id": campaign_id, "entity_id": one} for one in batch]
            await deliver.batch_defer_async(*orders)
