"""The consumer: batch by batch from a source into the database (the promises: engine.inbound.intake)."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import orjson
import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from config.errors import MusterError
from engine.answers.classify import classifier_of
from engine.inbound.ingest import MOST, take_events
from engine.inbound.intake.reading import events_of
from engine.inbound.intake.source import Dead, SourceAway
from engine.kernel import metrics
from engine.kernel.inputs import Invalid
from state.database import is_connection_loss

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from engine.inbound.intake.source import Arrived, Source
    from engine.kernel.runtime import Runtime

__all__ = ["Intake"]

log = structlog.get_logger(__name__)

#: Seconds to wait for the first message of a batch.
_WAIT = 1.0
#: Seconds before a broker or a database that is away is asked again: they double up to the longest.
_PAUSE, _LONGEST_PAUSE = 0.5, 15.0

_EVENTS = metrics.INTAKE_EVENTS.counter()


@dataclass(slots=True)
class _Batch:
    """Messages whose events are taken in one transaction."""

    arrived: list[Arrived] = field(default_factory=list)
    events: list[Any] = field(default_factory=list)
    dead: list[Dead] = field(default_factory=list)


class _Stopped(MusterError):
    """The service is to end; the broker keeps what was not finished."""


class Intake:
    """Takes events for one organization until it is stopped. A service (actors.services)."""

    def __init__(self, runtime: Runtime, org_id: UUID, source: Source) -> None:
        self._runtime = runtime
        self._org_id = org_id
        self._source = source
        self._stopping = Event()
        self._thread: Thread | None = None

    def start(self) -> None:
        """Take from now on. Safe to call twice."""
        if self._thread is None:
            self._thread = Thread(target=self._run, name="intake", daemon=True)
            self._thread.start()

    def is_alive(self) -> bool:
        """Whether its thread does its work."""
        return self._thread is not None and self._thread.is_alive()

    def stop(self) -> None:
        """End after the batch that is being taken. Safe to call twice."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        pause = _PAUSE
        log.info("intake.started", org_id=str(self._org_id))
        try:
            while not self._stopping.is_set():
                try:
                    self.take(_WAIT)
                    pause = _PAUSE
                except SourceAway as error:
                    log.warning("intake.source_away", reason=str(error), retry_in=pause)
                    self._stopping.wait(pause)
                    pause = min(pause * 2, _LONGEST_PAUSE)
        except Exception:
            log.exception("intake.failed")
        finally:
            self._source.close()
            log.info("intake.stopped")

    def take(self, wait: float) -> int:
        """Take one round of messages; returns how many events it had.

        Raises:
            SourceAway: the broker does not answer.
            SourceMisnamed: there is no such queue.
        """
        count = 0
        for batch in _batches(self._source.receive(MOST, wait)):
            try:
                self._commit(batch)
            except _Stopped:
                break
            if batch.dead:
                self._source.bury(batch.dead)
            self._source.finish(batch.arrived)
            count += len(batch.events)
        return count

    def _commit(self, batch: _Batch) -> None:
        """Take a batch's events. What a fault of ours is about is put aside by itself.

        Raises:
            _Stopped: while the database was away.
        """
        try:
            batch.dead += self._patiently(batch.events)
        except _Stopped:
            raise
        except Exception:
            log.exception("intake.batch_failed", events=len(batch.events))
            for event in batch.events:
                try:
                    batch.dead += self._patiently([event])
                except _Stopped:
                    raise
                except Exception as error:
                    log.exception("intake.event_failed")
                    _EVENTS.labels("failed").inc()
                    reason = f"a fault of Muster's own: {type(error).__name__}"
                    batch.dead.append(Dead(orjson.dumps(event), reason))

    def _patiently(self, events: Sequence[Any]) -> list[Dead]:
        """Take events, however long the database is away; those that were rejected."""
        pause = _PAUSE
        while True:
            try:
                return self._taken(events)
            except (DBAPIError, PoolTimeout) as error:
                if isinstance(error, DBAPIError) and not is_connection_loss(error):
                    raise
                log.warning("database.away", duty="intake", reason=str(error))
                if self._stopping.wait(pause):
                    raise _Stopped from None
                pause = min(pause * 2, _LONGEST_PAUSE)

    def _taken(self, events: Sequence[Any]) -> list[Dead]:
        """Take events in one transaction; those that were rejected."""
        if not events:
            return []
        classifier = classifier_of(self._runtime.settings.answer_rules)
        with self._runtime.transaction() as session:
            answers = take_events(session, self._org_id, events, classifier)
        for answer in answers:
            _EVENTS.labels(answer.status).inc()
        return [
            Dead(orjson.dumps(event), answer.message or "")
            for event, answer in zip(events, answers, strict=True)
            if answer.status == "rejected"
        ]


def _batches(arrived: Sequence[Arrived]) -> list[_Batch]:
    """Messages in their order, in batches of at most `MOST` events."""
    batches = [_Batch()]
    for message in arrived:
        batch = batches[-1]
        try:
            events = events_of(message.body, message.headers)
        except Invalid as error:
            _EVENTS.labels("rejected").inc()
            batch.dead.append(Dead(message.body, str(error)))
            events = []
        if len(batch.events) + len(events) > MOST:
            batch = _Batch()
            batches.append(batch)
        batch.arrived.append(message)
        batch.events += events
    return batches
