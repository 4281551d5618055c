"""Deliver one slice: lease it, then wave by wave claim, render, send and settle, and close it.

Promises (docs/architecture.md):
- `in_progress` is committed before the first byte of a wave leaves; a wave is at most 100 recipients, so that is the
  most a crash leaves in doubt per slice. (The whole slice where a channel takes a wave in one piece.)
- Settling one wave and claiming the next is one transaction; outcomes that take longer are flushed every 100 ms.
- Pause, cancel and shutdown are seen between sends: nothing new is started, what is on the wire is settled, what was
  not started is pending again.
- While the database is away nothing is claimed and nothing is forgotten: outcomes are kept and written as soon as it
  is back, unless somebody else got the lease meanwhile.

How one lease is worked through stands in `engine.delivery.run`.
"""

from __future__ import annotations

import os
import socket
from threading import BoundedSemaphore, Event
from typing import TYPE_CHECKING

import structlog

from engine.delivery import slices
from engine.delivery.coincidences import Coincidences
from engine.delivery.meter import Meter
from engine.delivery.run import SliceRun
from engine.delivery.slices import LeaseLost
from engine.limits.context import LimitContext
from engine.triggers import reach

if TYPE_CHECKING:
    from uuid import UUID

    from engine.delivery.sender import Senders, SendLoop
    from engine.runtime import Runtime

__all__ = ["Executor"]

log = structlog.get_logger(__name__)


class Executor:
    """Executes slices; one per worker process, used by all its threads."""

    def __init__(
        self, runtime: Runtime, senders: Senders, loop: SendLoop, *, limit_context: LimitContext | None = None
    ) -> None:
        self.runtime = runtime
        self.senders = senders
        self.limit_context = limit_context or LimitContext(runtime.settings)
        self.loop = loop
        self.coincidences = Coincidences()
        self.meter = Meter()
        self.stopping = Event()
        self.owner = f"{socket.gethostname()}:{os.getpid()}"
        self.turns = BoundedSemaphore(runtime.settings.worker_database_threads)
        """Whoever has one may be in the database: more threads there are in each other's way."""

    def execute(self, org_id: UUID, job_id: UUID, number: int) -> None:
        """Deliver what is due of a slice. A slice that is not ready (a repeated wake-up) is left alone.

        Raises:
            sqlalchemy.exc.OperationalError: the database is away, before anything was claimed.
        """
        if self.stopping.is_set():
            return
        # A lease whose holder learns no more is as good as one whose holder died: it expires.
        with self.turns, self.runtime.transaction(piecemeal=True) as session:
            lease = slices.lease(
                session, org_id, job_id, number, owner=self.owner, lasts=self.runtime.settings.lease
            )
            if lease is None:
                return
            run = SliceRun(self, lease, session)
        reach("slice.leased")
        with structlog.contextvars.bound_contextvars(job_id=str(job_id), slice=number, epoch=lease.epoch):
            try:
                run.run()
            except LeaseLost:
                log.warning("slice.lost")

    def stop(self) -> None:
        """Claim nothing more and let go of what has not been started. Returns at once."""
        self.stopping.set()

    def close(self) -> None:
        """Give back connections. Safe to call twice."""
        self.limit_context.close()
