"""Which jobs may let a thread of this process wait for permits: some threads are always left for who need none.

A job that found no slot is next when one falls free: jobs under limits take turns.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID

__all__ = ["WaitingSlots"]

#: How long a slot is kept for a job that was turned away and has not come back, in seconds: a few sweeps.
_KEPT = 6.0


class WaitingSlots:
    """One process's.

    Args:
        threads: Of the worker. All but one may wait; a single one must.
    """

    def __init__(self, threads: int) -> None:
        self._free = max(1, threads - 1)
        self._lock = Lock()
        self._waiting: OrderedDict[UUID, float] = OrderedDict()

    def enter(self, job_id: UUID, now: float) -> bool:
        """Take a slot, to be given back by `leave`; False: all are taken, or promised to jobs that came before.

        Args:
            now: Seconds, by any steady clock.
        """
        with self._lock:
            self._forget(now)
            before = list(self._waiting)
            ahead = before.index(job_id) if job_id in before else len(before)
            if self._free > ahead:
                self._free -= 1
                self._waiting.pop(job_id, None)
                return True
            self._waiting[job_id] = now
            return False

    def leave(self) -> None:
        """Give a slot back."""
        with self._lock:
            self._free += 1

    def wanted(self, job_id: UUID, now: float) -> bool:
        """Whether another job waits for a slot."""
        with self._lock:
            self._forget(now)
            return any(waiting != job_id for waiting in self._waiting)

    def _forget(self, now: float) -> None:
        for job_id, asked in list(self._waiting.items()):
            if now - asked > _KEPT:
                del self._waiting[job_id]
