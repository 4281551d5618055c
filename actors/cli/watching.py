"""How a campaign's delivery goes on, tick by tick: counts, rate, time left, and what it waits for.

Reads counters, never recipients, so that watching costs the same for a hundred and for a hundred million. A
database that goes away while somebody watches is waited for, up to `PATIENCE`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from threading import Event
from typing import TYPE_CHECKING, Any

from actors.cli.output import moment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from engine.insight.outlook import Outlook
    from engine.insight.progress import Progress
    from engine.insight.waiting import Waiting
    from engine.kernel.runtime import Runtime

__all__ = ["Tick", "follow", "in_words"]

#: Seconds a database may be away before watching gives up.
PATIENCE = 60.0


@dataclass(frozen=True)
class Tick:
    """One look."""

    name: str
    campaign_status: str
    outlook: Outlook
    away: str | None = None
    """Why the numbers are old: the database does not answer."""

    @property
    def progress(self) -> Progress:
        """Recipients by status."""
        return self.outlook.progress

    @property
    def job_status(self) -> str:
        """Empty: it has no job."""
        return "" if self.outlook.job is None else self.outlook.job.status

    @property
    def over(self) -> bool:
        """Whether nothing will happen any more by itself."""
        return self.progress.over

    @property
    def rate(self) -> float | None:
        """Recipients a second that got their outcome, over the last minute."""
        return None if self.away is not None else self.outlook.per_minute / 60

    @property
    def waiting(self) -> list[str]:
        """Why nothing moves, or no faster, in words."""
        if self.away is not None:
            return [f"the database does not answer: {self.away}"]
        return [in_words(one) for one in self.outlook.waiting]

    @property
    def stopped(self) -> bool:
        """Whether nothing of it is sent now."""
        return self.away is not None or self.outlook.stopped is not None

    def as_json(self) -> dict[str, Any]:
        """For `--json`: one object a tick."""
        progress, left = self.progress, self.outlook.seconds_left
        return {
            "campaign": self.name,
            "campaign_status": self.campaign_status,
            "job_status": self.job_status or None,
            "planned": progress.planned,
            "total": progress.total,
            "processed": progress.processed,
            "counts": progress.shown,
            "rate": None if self.rate is None else round(self.rate, 1),
            "eta_seconds": None if left is None else round(left, 1),
            "estimated_completion": self.outlook.completion,
            "waiting": [one.as_dict() for one in self.outlook.waiting],
            "away": self.away,
            "over": self.over,
        }


def in_words(waiting: Waiting) -> str:
    """What it waits for, since when and until when."""
    since = "" if waiting.since is None else f", since {moment(waiting.since)}"
    until = "" if waiting.until is None else f", until {moment(waiting.until)}"
    return f"{waiting.code}: {waiting.reason}{since}{until}"


def follow(runtime: Runtime, org_id: UUID, campaign_id: UUID, *, interval: float) -> Iterator[Tick]:
    """Ticks every `interval` seconds, until nothing will happen any more by itself; the last one says so.

    Raises:
        NotFound: there is no such campaign.
        sqlalchemy.exc.OperationalError: the database did not answer for a minute.
    """
    from sqlalchemy.exc import DBAPIError

    from state.database import is_connection_loss

    pause = Event()
    last: Tick | None = None
    away_since: float | None = None
    while last is None or not last.over:
        if last is not None:
            pause.wait(interval)
        try:
            last = _look(runtime, org_id, campaign_id)
            away_since = None
        except DBAPIError as error:
            now = time.monotonic()
            away_since = away_since or now
            if last is None or not is_connection_loss(error) or now - away_since > PATIENCE:
                raise
            last = replace(last, away=str(error.orig).strip())
        yield last


def _look(runtime: Runtime, org_id: UUID, campaign_id: UUID) -> Tick:
    from engine.campaigns.campaigns import get_campaign
    from engine.insight.outlook import outlook

    with runtime.database.read() as session:
        campaign = get_campaign(session, org_id, campaign_id)
        seen = outlook(session, campaign)
        # A reader of "over" then reads the status that came with it, or a later one.
        session.refresh(campaign)
        return Tick(campaign.name, campaign.status, seen)
