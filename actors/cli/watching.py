"""How a campaign's delivery goes on, tick by tick: counts, rate, time left, and what it waits for.

Reads counters, never recipients, so that watching costs the same for a hundred and for a hundred million. A
database that goes away while somebody watches is waited for, up to `PATIENCE`.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from uuid import UUID

    from engine.insight.progress import Progress
    from engine.runtime import Runtime

__all__ = ["Pace", "Tick", "counts", "follow", "waiting"]

#: Seconds of the past that the rate is measured over.
_WINDOW = 10.0
#: Seconds a database may be away before watching gives up.
PATIENCE = 60.0


@dataclass(frozen=True)
class Tick:
    """One look."""

    name: str
    campaign_status: str
    job_status: str
    progress: Progress
    rate: float | None
    """Recipients a second that got their outcome, over the last seconds."""
    away: str | None = None
    """Why the numbers are old: the database does not answer."""

    @property
    def over(self) -> bool:
        """Whether nothing will happen any more by itself."""
        return self.progress.over

    @property
    def eta(self) -> float | None:
        """Seconds until the rest is done, at the present rate; None when nobody can say."""
        if self.over or not self.progress.planned or not self.rate or self.waiting is not None:
            return None
        return (self.progress.total - self.progress.processed) / self.rate

    @property
    def waiting(self) -> str | None:
        """Why nothing moves, in words."""
        if self.away is not None:
            return f"the database does not answer: {self.away}"
        return waiting(self.progress)

    def as_json(self) -> dict[str, Any]:
        """For `--json`: one object a tick."""
        progress = self.progress
        return {
            "campaign": self.name,
            "campaign_status": self.campaign_status,
            "job_status": self.job_status or None,
            "planned": progress.planned,
            "total": progress.total,
            "processed": progress.processed,
            "counts": counts(progress),
            "rate": None if self.rate is None else round(self.rate, 1),
            "eta_seconds": None if self.eta is None else round(self.eta, 1),
            "waiting": self.waiting,
            "over": self.over,
        }


def counts(progress: Progress) -> dict[str, int]:
    """Recipients by status; a part that reads low during a lease is none (state/tables/delivery.py)."""
    return {status: max(0, count) for status, count in progress.counts.items()}


def waiting(progress: Progress) -> str | None:
    """Why a campaign does not move, in words; None when it does, or is over."""
    if progress.held:
        return "paused"
    if progress.waits_until is not None:
        return f"until {_clock(progress.waits_until)}: {progress.waits_reason}"
    return None


class Pace:
    """Recipients a second over the last seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._seen: deque[tuple[float, int]] = deque()

    def at(self, processed: int) -> float | None:
        """The rate after this look; None at the first one."""
        now = self._now()
        if len(self._seen) == 1 and self._seen[0][1] == processed:
            self._seen.clear()  # nothing has moved yet: waiting to begin is no slow beginning
        self._seen.append((now, processed))
        while len(self._seen) > 2 and now - self._seen[1][0] >= _WINDOW:  # noqa: PLR2004 - both ends of a span
            self._seen.popleft()
        since, before = self._seen[0]
        return max(0, processed - before) / (now - since) if now > since else None


def follow(runtime: Runtime, org_id: UUID, campaign_id: UUID, *, interval: float) -> Iterator[Tick]:
    """Ticks every `interval` seconds, until nothing will happen any more by itself; the last one says so.

    Raises:
        NotFound: there is no such campaign.
        sqlalchemy.exc.OperationalError: the database did not answer for a minute.
    """
    from sqlalchemy.exc import DBAPIError

    from state.database import is_connection_loss

    pace, pause = Pace(), Event()
    last: Tick | None = None
    away_since: float | None = None
    while last is None or not last.over:
        if last is not None:
            pause.wait(interval)
        try:
            last = _look(runtime, org_id, campaign_id, pace)
            away_since = None
        except DBAPIError as error:
            now = time.monotonic()
            away_since = away_since or now
            if last is None or not is_connection_loss(error) or now - away_since > PATIENCE:
                raise
            last = Tick(
                last.name, last.campaign_status, last.job_status, last.progress, None, str(error.orig).strip()
            )
        yield last


def _look(runtime: Runtime, org_id: UUID, campaign_id: UUID, pace: Pace) -> Tick:
    from engine.campaigns.campaigns import get_campaign
    from engine.insight.progress import campaign_progress
    from engine.insight.summary import job_version

    with runtime.database.read() as session:
        # The progress first: whoever reads "over" then reads the status that came with it, or a later one.
        progress = campaign_progress(session, org_id, campaign_id)
        campaign = get_campaign(session, org_id, campaign_id)
        version = job_version(session, org_id, campaign_id)
        return Tick(campaign.name, campaign.status, version.status, progress, pace.at(progress.processed))


def _clock(instant: datetime) -> str:
    return f"{instant.astimezone():%H:%M:%S}"
