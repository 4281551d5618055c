"""The sweeper: a list of chores that one process at a time does, every couple of seconds.

Wake-ups may be lost and processes may die; whatever that leaves lying is found here, in the database. Any number of
processes may sweep; one leads (engine.kernel.leadership), and every chore is a compare-and-set that is harmless to
repeat. The chores stand alone: each has transactions of its own, and one that fails is logged, counted and tried again
in the next round, while all others go on.

| chore | does |
|---|---|
| take_back | makes slices under an expired lease ready again; their recipients in flight are in doubt |
| start_due | starts, or skips, what is scheduled |
| wake_lost | wakes slices again whose wake-up was lost |
| wake_ready | wakes slices that fell due or found room, ends waits that are over |
| restart_jobs, restart_dry_runs | sends the command of a plan, report, wind-up or dry run again that went silent |
| end_campaigns | completes campaigns past their end date and cancels their open jobs |
| pause_spent | pauses campaigns whose budget is spent |
| pause_returned | pauses campaigns of which too much bounced or brought complaints |
| decide_experiments | looks at A/B tests whose time has come |
| note_pace | notes how far running jobs are |
| distribute_events, wake_webhooks | hands new events to webhooks, wakes retries that are due |
| erase_people | goes on with erasures of people |
| forget_… | removes what nobody asks for any more |
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import structlog

from engine.authentication.browser_sessions import forget_sessions
from engine.campaigns.budget import pause_spent
from engine.campaigns.dry_runs import restart_silent
from engine.campaigns.ending import end_due_campaigns
from engine.campaigns.experiments import look_at_due
from engine.campaigns.start_scheduled import start_due
from engine.delivery.recover import restart_silent_jobs, take_back_expired, wake_lost, wake_ready
from engine.delivery.return_breaker import pause_returned
from engine.events import retention
from engine.events.distribute import distribute
from engine.events.webhook_queues import wake_due
from engine.inbound.ingest import forget_events
from engine.insight.pace import note_pace
from engine.kernel import metrics
from engine.kernel.chores import ChoreNotes, ChoreOutcome
from engine.kernel.heartbeat import forget_processes
from engine.kernel.idempotency import expire
from engine.kernel.leadership import LeadershipLost, lead
from engine.limits import caps, warm_up
from engine.limits.effective import forget_throttles
from engine.people.erase import go_on_with_due
from engine.people.retention import Retention
from state.database import is_connection_loss
from state.locks import Lock

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import Session

    from engine.kernel.leadership import Term
    from engine.kernel.runtime import Runtime

__all__ = ["CHORES", "Chore", "Swept", "sweep"]

log = structlog.get_logger(__name__)


#: How long one sweep works at erasing people.
_ERASING = timedelta(seconds=1)

_SECONDS = metrics.CHORE_SECONDS.settable()
_SUCCEEDED = metrics.CHORE_LAST_SUCCESS.settable()
_FAILURES = metrics.CHORE_FAILURES.counter()


@dataclass(slots=True)
class Swept:
    """What one sweep did."""

    recovered: int = 0
    """Slices whose lease had expired."""
    in_doubt: int = 0
    """Recipients that were in flight under an expired lease."""
    started: int = 0
    """Scheduled runs that stopped waiting."""
    rewoken: int = 0
    """Slices whose wake-up was lost."""
    woken: int = 0
    """Slices that fell due, or found room."""
    restarted: int = 0
    """Plans, reports, wind-ups and dry runs that had gone silent."""
    ended: int = 0
    """Campaigns past their end date."""
    outcomes: list[ChoreOutcome] = field(default_factory=list)
    """Of every chore, in their order."""

    @property
    def failures(self) -> dict[str, Exception]:
        """Name of a chore that failed → why."""
        return {one.name: one.error for one in self.outcomes if one.error is not None}


@dataclass(frozen=True, slots=True)
class Chore:
    """One thing that is done in every round."""

    name: str
    do: Callable[[Runtime, Swept], object]
    """Does it, in transactions of its own, and adds what it did."""


def _take_back(runtime: Runtime, swept: Swept) -> None:
    swept.recovered, swept.in_doubt = take_back_expired(runtime)


def _start_due(runtime: Runtime, swept: Swept) -> None:
    swept.started = start_due(runtime)


def _wake_lost(runtime: Runtime, swept: Swept) -> None:
    with runtime.transaction() as session:
        swept.rewoken = wake_lost(session, silence=runtime.settings.lease)


def _wake_ready(runtime: Runtime, swept: Swept) -> None:
    swept.woken = wake_ready(runtime)


def _restart_jobs(runtime: Runtime, swept: Swept) -> None:
    with runtime.transaction() as session:
        swept.restarted += restart_silent_jobs(session, silence=runtime.settings.lease)


def _restart_dry_runs(runtime: Runtime, swept: Swept) -> None:
    with runtime.transaction() as session:
        swept.restarted += restart_silent(session, silence=runtime.settings.lease)


def _end_campaigns(runtime: Runtime, swept: Swept) -> None:
    with runtime.transaction() as session:
        swept.ended = end_due_campaigns(session)


def _pause_spent(runtime: Runtime, _: Swept) -> None:
    pause_spent(runtime)


def _pause_returned(runtime: Runtime, _: Swept) -> None:
    pause_returned(runtime)


def _decide_experiments(runtime: Runtime, _: Swept) -> None:
    look_at_due(runtime)


def _distribute_events(runtime: Runtime, _: Swept) -> None:
    distribute(runtime)


def _erase_people(runtime: Runtime, _: Swept) -> None:
    go_on_with_due(runtime, within=_ERASING)


_NOTES: WeakKeyDictionary[Runtime, ChoreNotes] = WeakKeyDictionary()
_RETENTIONS: WeakKeyDictionary[Runtime, Retention] = WeakKeyDictionary()


def _forget_by_kind(runtime: Runtime, _: Swept) -> None:
    _RETENTIONS.setdefault(runtime, Retention()).forget(runtime)


def _forget_old_events(runtime: Runtime, _: Swept) -> None:
    with runtime.transaction() as session:
        retention.forget(session, keep=timedelta(days=runtime.settings.retention_event_days))


def _in_one_transaction(work: Callable[[Session], object]) -> Callable[[Runtime, Swept], None]:
    def do(runtime: Runtime, _: Swept) -> None:
        with runtime.transaction() as session:
            work(session)

    return do


#: In this order. What recovers comes right after the look at whether the database answers (engine.kernel.leadership): a
#: database that stood still must not look like workers that died.
CHORES = (
    Chore("take_back", _take_back),
    Chore("start_due", _start_due),
    Chore("wake_lost", _wake_lost),
    Chore("wake_ready", _wake_ready),
    Chore("restart_jobs", _restart_jobs),
    Chore("restart_dry_runs", _restart_dry_runs),
    Chore("end_campaigns", _end_campaigns),
    Chore("pause_spent", _pause_spent),
    Chore("pause_returned", _pause_returned),
    Chore("decide_experiments", _decide_experiments),
    Chore("note_pace", _in_one_transaction(note_pace)),
    Chore("distribute_events", _distribute_events),
    Chore("wake_webhooks", _in_one_transaction(wake_due)),
    Chore("erase_people", _erase_people),
    Chore("forget_old_events", _forget_old_events),
    Chore("forget_by_kind", _forget_by_kind),
    Chore("forget_answers", _in_one_transaction(expire)),
    Chore("forget_reported_events", _in_one_transaction(forget_events)),
    Chore("forget_contacts", _in_one_transaction(caps.forget)),
    Chore("forget_throttles", _in_one_transaction(forget_throttles)),
    Chore("forget_channel_days", _in_one_transaction(warm_up.forget)),
    Chore("forget_processes", _in_one_transaction(forget_processes)),
    Chore("forget_sessions", _in_one_transaction(forget_sessions)),
)


def sweep(runtime: Runtime) -> Swept | None:
    """Every chore once. None if another process leads.

    Raises:
        sqlalchemy.exc.DBAPIError: the database is away; the next sweep does it all.
    """
    swept = Swept()
    with lead(runtime.database, Lock.SWEEPER, term=runtime.settings.lease) as term:
        if term is None:
            return None
        try:
            _do_all(runtime, swept, term)
            _NOTES.setdefault(runtime, ChoreNotes()).note(runtime, swept.outcomes)
        except LeadershipLost:
            log.warning("leadership.lost", duty="sweep")
    if any((swept.recovered, swept.rewoken, swept.restarted, swept.ended)):
        counts = ("recovered", "in_doubt", "rewoken", "woken", "restarted", "ended")
        log.info("sweep.acted", **{name: getattr(swept, name) for name in counts})
    return swept


def _do_all(runtime: Runtime, swept: Swept, term: Term) -> None:
    for number, chore in enumerate(CHORES):
        if number:
            term.renew()
        began = time.perf_counter()
        failed: Exception | None = None
        try:
            chore.do(runtime, swept)
        except Exception as error:
            failed = error
            _FAILURES.labels(chore.name).inc()
            if is_connection_loss(error):
                log.warning("database.away", chore=chore.name, reason=str(error))
            else:
                log.exception("chore.failed", chore=chore.name)
        else:
            _SUCCEEDED.labels(chore.name).set_to_current_time()
        seconds = time.perf_counter() - began
        _SECONDS.labels(chore.name).set(seconds)
        swept.outcomes.append(ChoreOutcome(chore.name, seconds, failed))
