"""Long polls of job status (docs/contract/own-routes.md): any number of waiters, one small query a campaign and
interval.

Waiters are coroutines, not threads. The first one of a campaign starts its poll, the last one to leave ends
it. An error of the database reaches everybody who waits.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from engine.insight.summary import JobVersion, job_version

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from engine.kernel.runtime import Runtime

__all__ = ["THREADS", "JobWatch"]

INTERVAL_SECONDS = 0.5
#: Queries at once of all polls together, in threads and over connections of their own: others do not wait for them.
THREADS = 1


class _Poll:
    """The poll of one campaign."""

    def __init__(self) -> None:
        self.waiters = 0
        self.changed = asyncio.Condition()
        self.version: JobVersion | None = None
        self.error: Exception | None = None
        self.task: asyncio.Task[None] | None = None


class JobWatch:
    """Everybody who waits for jobs in this process."""

    def __init__(self, runtime: Runtime, *, interval: float = INTERVAL_SECONDS) -> None:
        self._runtime = runtime
        self._interval = interval
        self._polls: dict[tuple[UUID, UUID], _Poll] = {}
        self._threads = CapacityLimiter(THREADS)

    async def wait(
        self, org_id: UUID, campaign_id: UUID, *, until: Callable[[JobVersion], bool], seconds: float
    ) -> JobVersion | None:
        """The first version that `until` holds for; None when there was none in `seconds`.

        Raises:
            RuleViolation: CAMPAIGN_NOT_FOUND.
            sqlalchemy.exc.DBAPIError: the database went away.
        """
        key = (org_id, campaign_id)
        poll = self._polls.get(key)
        if poll is None:
            poll = self._polls[key] = _Poll()
            poll.task = asyncio.create_task(self._run(poll, org_id, campaign_id))
        poll.waiters += 1
        try:
            async with asyncio.timeout(seconds), poll.changed:
                while poll.error is None and (poll.version is None or not until(poll.version)):
                    await poll.changed.wait()
        except TimeoutError:
            return None
        finally:
            poll.waiters -= 1
            if poll.waiters == 0 and self._polls.get(key) is poll:
                del self._polls[key]
                if poll.task is not None:
                    poll.task.cancel()
        if poll.error is not None:
            raise poll.error
        return poll.version

    async def _run(self, poll: _Poll, org_id: UUID, campaign_id: UUID) -> None:
        while True:
            try:
                version = await run_sync(self._version, org_id, campaign_id, limiter=self._threads)
            except Exception as error:  # noqa: BLE001 - those that wait get it
                self._polls.pop((org_id, campaign_id), None)
                await _tell(poll, error=error)
                return
            if version != poll.version:
                await _tell(poll, version=version)
            await asyncio.sleep(self._interval)

    def _version(self, org_id: UUID, campaign_id: UUID) -> JobVersion:
        with self._runtime.database.read() as session:
            return job_version(session, org_id, campaign_id)


async def _tell(poll: _Poll, *, version: JobVersion | None = None, error: Exception | None = None) -> None:
    async with poll.changed:
        poll.version, poll.error = version, error
        poll.changed.notify_all()
