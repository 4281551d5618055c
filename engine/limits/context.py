"""What one process needs to keep limits: limits that are in effect, the buckets, and slots of threads that wait."""

from __future__ import annotations

import time
from threading import Lock
from typing import TYPE_CHECKING

from config.settings import EMBEDDED
from engine.limits.adaptive import UseClock
from engine.limits.effective import EffectiveLimitsCache
from engine.limits.mailbox_providers import MailboxProviders, system_resolver
from engine.limits.pacing import rest
from engine.limits.redis_buckets import RedisBuckets
from engine.limits.waiting_slots import WaitingSlots

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event

    from config.settings import Settings
    from engine.limits.buckets import Buckets

__all__ = ["LimitContext"]


class LimitContext:
    """One process's.

    Args:
        buckets: Where permits come from; None: Redis, connected to when the first permit is needed.
        steady: Seconds, by a clock that never jumps.
        rest: Lets that many seconds pass, or fewer once the process is stopped.
        providers: Who receives for which mail domain; None: as the system's resolver says.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        buckets: Buckets | None = None,
        steady: Callable[[], float] = time.monotonic,
        rest: Callable[[float, Event], object] = rest,
        providers: MailboxProviders | None = None,
    ) -> None:
        self.effective = EffectiveLimitsCache()
        self.slots = WaitingSlots(settings.worker_threads)
        self.patience = WaitingSlots(settings.worker_threads // 2 + 1)
        """Of threads that wait for a mail domain alone: half of them at most."""
        self.may_be_patient = settings.worker_threads > 1
        if providers is None:
            providers = MailboxProviders(
                system_resolver(settings.dns_server) if settings.mx_lookups else None
            )
        self.providers = providers
        self.use_clock = UseClock(steady)
        self.steady = steady
        self.rest = rest
        # Embedded, everything that Redis is used for is in this process.
        self._url = EMBEDDED if settings.broker.startswith(EMBEDDED) else settings.redis_url
        self._lock = Lock()
        self._buckets = buckets

    @property
    def buckets(self) -> Buckets:
        """Where permits come from."""
        with self._lock:
            if self._buckets is None:
                self._buckets = RedisBuckets(self._url)
            return self._buckets

    def close(self) -> None:
        """Give back connections. Safe to call twice."""
        with self._lock:
            if self._buckets is not None:
                self._buckets.close()
