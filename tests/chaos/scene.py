"""One campaign under way, a mail server that says what really left, a stopwatch, and the verdict.

    with Scene(house, tmp_path) as scene:
        scene.begin()
        scene.wait_for_share(0.3)
        scene.worker().kill()
        recovery = scene.recovery(scene.mark())
        scene.judge("kill -9 of a worker", duplicated=WAVE * THREADS, recovery=recovery)

*Recovered* means: nothing of what the fault interrupted is left lying. No slice is under a lease that nobody renewed
since, none was woken before and not taken, no plan and no report went silent before; and somebody got a message since,
or all is over. The bound is the lease and one sweep, which the protocol promises, and `SLACK` for what comes on top of
the promise: the sweep's own work, and two cores that everything here shares.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from engine.campaigns import lifecycle
from state.database import is_connection_loss
from state.tables import Job, Slice
from state.transitions import AutomationStatus, JobStatus, SliceState
from tests.chaos.house import LEASE, QUICK, SIZE, SWEEP
from tests.harness.account import Account, account
from tests.harness.providers import SmtpSink
from tests.harness.results import Bound, Result, record
from tests.harness.seeds import seed, smtp_settings
from tests.harness.waiting import wait_until

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path
    from types import TracebackType

    from tests.chaos.house import House
    from tests.harness.process import Process

__all__ = ["CONNECTIONS", "RECOVERY", "SLACK", "VERDICTS", "Mark", "Scene", "last"]

SLACK = 2.0
"""Seconds."""
RECOVERY = LEASE.total_seconds() + SWEEP.total_seconds() + SLACK
"""The bound on recovery, in seconds."""
VERDICTS: list[Result] = []
"""Of this run, for the table at its end."""

#: Connections of each worker process, and the seconds that an undisturbed delivery takes at least.
CONNECTIONS = 10
_TAKES = 4.0 if QUICK else 6.0
_OVER = (JobStatus.FINISHED, JobStatus.FAILED, JobStatus.CANCELLED)


def last(seconds: float) -> None:
    """Let a fault last this long."""
    Event().wait(seconds)


@dataclass(frozen=True)
class Mark:
    """An instant, by three clocks."""

    at: datetime
    """The database's."""
    ticks: float
    """This process's monotonic one, in seconds."""
    delivered: int
    """Messages."""


class Scene:
    """A campaign in an organization of its own.

    Args:
        house: Manned with two workers and a scheduler unless they are told otherwise.
        directory: For the mail server's journal.
        size: Recipients.
        latency: Seconds before each of the mail server's replies; absent: so that delivery takes some seconds.
        workers, schedulers: How many run at the beginning.
        channel: More of the channel's row: `doubt_policy="hold"`.
    """

    def __init__(
        self,
        house: House,
        directory: Path,
        *,
        size: int = SIZE,
        latency: float | None = None,
        workers: int = 2,
        schedulers: int = 1,
        **channel: Any,
    ) -> None:
        self.house = house
        self.stack = house.stack
        self.size = size
        pace = 2 * CONNECTIONS * _TAKES / size if latency is None else latency
        self.sink = SmtpSink(directory, "smtp", "--latency", f"{pace:.4f}")
        self._manned = (workers, schedulers)
        self._channel = channel

    def __enter__(self) -> Self:
        try:
            self.sink.start()
            self.house.man(workers=self._manned[0], schedulers=self._manned[1])
            settings = smtp_settings(self.sink.port, concurrency=CONNECTIONS)
            made = self.stack.seed(
                seed,
                self.stack.env["MUSTER_SECRET_KEY"],
                size=self.size,
                kind="smtp",
                settings=settings,
                **{"retry_base_seconds": 0.5, **self._channel},
            )
            self.org_id, self.campaign_id = made.org_id, made.campaign_id
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.house.condemned = True
            self.house.show()
            print(self.sink.tail())  # noqa: T201 - pytest shows it with the failure
        self.sink.close()

    def begin(self) -> None:
        """Activate the campaign."""
        with self.house.runtime.transaction() as session:
            job = lifecycle.activate(session, self.org_id, self.campaign_id, window=16)
            assert job is not None
            self.job_id = job.id

    def worker(self) -> Process:
        """The worker that has been running for longest."""
        return self.house.workers()[0]

    def delivered(self) -> int:
        """How many messages the mail server has taken."""
        return self.sink.journal.count()

    def wait_for_share(self, share: float) -> None:
        """Wait until that share of the recipients got a message."""
        wanted = int(self.size * share)
        wait_until(lambda: self.delivered() >= wanted, f"{wanted} messages are delivered", deadline=60)

    def mark(self) -> Mark:
        """Now."""
        return Mark(self.stack.database.clock.now(), time.monotonic(), self.delivered())

    def recovery(self, since: Mark) -> float:
        """Wait until what lay there at `since` was taken up again; the seconds that took."""
        wait_until(lambda: self._is_recovered(since), "the fault is recovered from", deadline=60)
        return time.monotonic() - since.ticks

    def _is_recovered(self, since: Mark) -> bool:
        stale_lease = (Slice.state == SliceState.LEASED) & (Slice.lease_expires_at < since.at + LEASE)
        lost_wakeup = (Slice.state == SliceState.READY) & (Slice.woken_at < since.at)
        lying = select(func.count()).where(Slice.job_id == self.job_id, stale_lease | lost_wakeup)
        job = select(Job.status, Job.planned, Job.touched_at).where(Job.id == self.job_id)
        try:
            with self.stack.database.read() as session:
                slices = session.execute(lying).scalar_one()
                status, planned, touched_at = session.execute(job).one()
        except DBAPIError as error:
            if is_connection_loss(error):
                return False
            raise
        if status in _OVER:
            return True
        silent = (not planned or status == JobStatus.SEND_REPORT) and (
            touched_at is not None and touched_at < since.at
        )
        return not slices and not silent and self.delivered() > since.delivered

    def check_counters(self) -> None:
        """Every counter equals the rows it counts, now, while work goes on."""
        account(self.stack.database, campaign_id=self.campaign_id).assert_counted()

    def account(self) -> Account:
        """The oracle's word on this campaign."""
        return account(
            self.stack.database, self.sink.journal, campaign_id=self.campaign_id, expected=self.size
        )

    def judge(
        self,
        fault: str,
        *,
        injected: int = 1,
        duplicated: int = 0,
        in_doubt: int = 0,
        recovery: float | None = None,
        allowed: float = RECOVERY,
    ) -> Account:
        """Wait for the end, take account, record the result, and insist on the bound.

        Args:
            fault: As the table calls it.
            injected: How many times.
            duplicated, in_doubt: At most so many.
            recovery: As measured, in seconds.
            allowed: The bound on it.
        """
        self.stack.wait_for_job(self.job_id, *_OVER, deadline=120)
        found = self.account()
        bound = Bound(
            duplicated=duplicated, in_doubt=in_doubt, recovery_s=None if recovery is None else allowed
        )
        result = Result.of(fault, injected, found, bound, recovery_s=recovery)
        if not QUICK:
            record(result)
        VERDICTS.append(result)
        found.assert_whole(duplicated=duplicated, in_doubt=in_doubt)
        succeeded = found.statuses[AutomationStatus.SUCCESS]
        assert succeeded + len(found.in_doubt) == self.size, found
        assert result.met, f"recovered after {recovery} s, allowed: {allowed}"
        return found
