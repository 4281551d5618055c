"""The long-running parts of Muster, each with the same contract: `start`, `stop`, both safe to call twice.

`run` keeps a service up until SIGTERM or SIGINT and then stops it; the exit code is 0.
"""

from __future__ import annotations

import gc
import os
import signal
import time
from datetime import timedelta
from threading import Event, Thread
from typing import TYPE_CHECKING, Protocol

import structlog
from dramatiq import Worker
from sqlalchemy.exc import DBAPIError

from actors.broker import connect
from actors.context import Context
from actors.middleware import standard
from actors.monitoring import monitored
from actors.registry import register
from actors.sweeper import sweep
from config.settings import EMBEDDED
from engine.delivery.lease import Executor
from engine.delivery.recover import next_due, wake_ready
from engine.delivery.sender import Senders
from engine.events.webhook_dispatcher import WebhookDispatcher
from engine.inbound.mailbox_reader import MailboxReader
from engine.kernel.heartbeat import Heartbeat
from engine.kernel.runtime import Runtime
from engine.kernel.send_loop import SendLoop
from state.tables import ProcessKind

if TYPE_CHECKING:
    from config.settings import Settings
    from state.database import Database

__all__ = ["Embedded", "SchedulerService", "Service", "WorkerService", "run"]

log = structlog.get_logger(__name__)

#: How long an idle worker waits before it asks the broker again: the most a wake-up waits for an idle worker.
_IDLE_MS = 100
#: Objects that are new, and not gone again, before the collector looks at them: what a dozen slices hold.
_NEW_OBJECTS = 50_000
#: Looks at what falls due within one interval of sweeps, and the seconds between two of them at least.
_LOOKS, _SOONEST = 4, 0.1
#: Seconds after which a sweep that has not ended is stuck.
_STUCK_AFTER = 300.0


class Service(Protocol):
    """Something that runs until it is stopped."""

    def start(self) -> None:
        """Begin; returns once it runs."""
        ...

    def is_alive(self) -> bool:
        """Whether it runs and its threads do their work."""
        ...

    def stop(self) -> None:
        """End it in good order; returns once it has ended."""
        ...


class WorkerService:
    """Consumes wake-ups on threads.

    Stopping claims nothing more at once, lets sends that are on the wire finish (at most `shutdown_grace`), and makes
    whatever was not started pending again.
    """

    def __init__(self, settings: Settings, *, runtime: Runtime | None = None) -> None:
        self.settings = settings
        self.runtime = runtime or Runtime(settings)
        self._worker: Worker | None = None
        self._heartbeat = Heartbeat(self.runtime, ProcessKind.WORKER, self.is_alive)

    def start(self) -> None:
        """See `Service.start`."""
        if self._worker is not None:
            return
        self._loop = SendLoop()
        self._senders = Senders(self.settings, self._loop, self.runtime.database)
        self._executor = Executor(self.runtime, self._senders, self._loop)
        self._broker = connect(self.settings.broker, standard())
        self._dispatcher = WebhookDispatcher(self.runtime, self._loop)
        register(self._broker, Context(self.runtime, self._executor, self._dispatcher))
        threads = self.settings.worker_threads
        self._worker = Worker(self._broker, worker_threads=threads, worker_timeout=_IDLE_MS)
        # A prefetched wake-up waits for a thread here while another process may be idle.
        self._worker.queue_prefetch = threads
        self._worker.start()
        self._heartbeat.start()
        log.info("worker.started", threads=threads, pid=os.getpid())

    def is_alive(self) -> bool:
        """See `Service.is_alive`."""
        worker = self._worker
        if worker is None:
            return False
        threads = [*worker.workers, *worker.consumers.values()]
        return bool(threads) and all(thread.is_alive() for thread in threads)

    def stop(self) -> None:
        """See `Service.stop`."""
        if self._worker is None:
            return
        self._heartbeat.stop()
        worker, self._worker = self._worker, None
        self._executor.stop()
        worker.stop(timeout=int(self.settings.shutdown_grace.total_seconds() * 1000))
        self._executor.close()
        self._dispatcher.stop()
        self._senders.close()
        self._loop.close()
        self._broker.close()
        log.info("worker.stopped")


class SchedulerService:
    """Sweeps at an interval, which starts what is scheduled as well, and reads the mailboxes of channels. Any number
    may run; one leads. What falls due between two sweeps is woken at its time, to a part of a second.
    """

    def __init__(self, settings: Settings, *, runtime: Runtime | None = None) -> None:
        self.settings = settings
        self.runtime = runtime or Runtime(settings)
        self._stopped = Event()
        self._thread: Thread | None = None
        self._looked_at = time.monotonic()
        self._mailboxes = MailboxReader(self.runtime)
        self._heartbeat = Heartbeat(self.runtime, ProcessKind.SCHEDULER, self.is_alive)

    def start(self) -> None:
        """See `Service.start`."""
        if self._thread is None:
            self._stopped.clear()
            self._looked_at = time.monotonic()
            self._thread = Thread(target=self._loop, name="scheduler", daemon=True)
            self._thread.start()
            self._mailboxes.start()
            self._heartbeat.start()
            log.info("scheduler.started", pid=os.getpid())

    def is_alive(self) -> bool:
        """See `Service.is_alive`. A sweep that takes minutes is stuck, an outage of the database aside: then each
        attempt ends by itself.
        """
        thread = self._thread
        if thread is None or not thread.is_alive() or not self._mailboxes.is_alive():
            return False
        return time.monotonic() - self._looked_at < _STUCK_AFTER

    def _loop(self) -> None:
        while True:
            leads = False
            try:
                leads = sweep(self.runtime) is not None
            except DBAPIError as error:
                log.warning("database.away", reason=str(error.orig))
            except Exception:
                log.exception("sweep.failed")
            self._looked_at = time.monotonic()
            if self._rest(leads=leads):
                return

    def _rest(self, *, leads: bool) -> bool:
        """Let one interval pass, and wake meanwhile what falls due; returns whether the service is to stop."""
        interval = self.settings.sweep_interval.total_seconds()
        ends = time.monotonic() + interval
        while not self._stopped.is_set() and (left := ends - time.monotonic()) > 0:
            pause = min(left, interval / _LOOKS)
            try:
                due_in = self._due_in(pause) if leads else None
                if self._stopped.wait(pause if due_in is None else min(left, due_in)):
                    return True
                if due_in is not None:
                    wake_ready(self.runtime)
            except Exception as error:  # noqa: BLE001 - the next sweep does it, and says what is wrong
                log.debug("scheduler.wake_failed", reason=str(error))
                leads = False
        return self._stopped.is_set()

    def _due_in(self, pause: float) -> float | None:
        """Seconds until something falls due; None: nothing does within `pause`."""
        now = self.runtime.database.clock.now()
        span = timedelta(seconds=pause)
        due_at = next_due(self.runtime, after=now - span, before=now + span)
        return None if due_at is None else max((due_at - now).total_seconds(), _SOONEST)

    def stop(self) -> None:
        """See `Service.stop`."""
        if self._thread is not None:
            self._heartbeat.stop()
            self._stopped.set()
            self._mailboxes.stop()
            self._thread.join()
            self._thread = None
            log.info("scheduler.stopped")


class Embedded:
    """Worker and scheduler in this process, over a Redis inside it. A real default: it survives a restart, because
    the database knows what was due.
    """

    def __init__(self, settings: Settings, *, database: Database | None = None) -> None:
        self.settings = settings.model_copy(update={"broker_url": EMBEDDED})
        self.runtime = Runtime(self.settings, database=database)
        self._services: list[Service] = [
            WorkerService(self.settings, runtime=self.runtime),
            SchedulerService(self.settings, runtime=self.runtime),
        ]

    def start(self) -> None:
        """See `Service.start`."""
        for service in self._services:
            service.start()

    def is_alive(self) -> bool:
        """See `Service.is_alive`."""
        return all(service.is_alive() for service in self._services)

    def stop(self) -> None:
        """See `Service.stop`."""
        for service in reversed(self._services):
            service.stop()
        self.runtime.close()


def run(service: Service, *, metrics_port: int | None = None) -> None:
    """Keep `service` up until SIGTERM or SIGINT.

    Args:
        service: What runs.
        metrics_port: Where `actors.monitoring` serves; None: nowhere.

    Raises:
        PortTaken: that port cannot be bound; nothing was started.
    """
    ended = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with monitored(metrics_port, service.is_alive):
        service.start()
        _spare_the_collector()
        ended.wait()
        service.stop()


def _spare_the_collector() -> None:
    """Look for cycles among what is new, and rarely.

    A slice makes thousands of objects that end with it, by reference counts alone; Python's defaults would go through
    them, and through everything that was ever imported, several times a slice to find nothing (measured: a quarter of
    a worker's processor time).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS)
