"""How a campaign's execution goes: how far, how fast, until when, what goes wrong, and why it waits
(docs/contract/campaigns-api.md).

Everything rests on recorded outcomes. `processed` is successful and failed; `total` is everybody who is to be written
to,
without those who are excluded (suppressed, no address …), who are counted apart.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from engine.insight.executions import JOB_WORDS
from engine.insight.outlook import outlook
from engine.insight.progress import unplanned
from engine.insight.scheduled_starts import next_due
from engine.kernel import listing
from state.tables import Campaign, Recipient
from state.transitions import AutomationStatus, JobStatus

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.insight.outlook import Outlook
    from engine.insight.progress import Progress

__all__ = ["Running", "Trouble", "failure_codes", "running"]

#: Error codes that are counted apart; the rest of a campaign's failures is one sum.
_CODES = 50
#: Codes to choose from.
_CODES_LISTED = 100
#: In place of the code of a failure that was reported without one.
_UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Failures with one error code."""

    code: str
    count: int
    """Recipients."""
    message: str
    """Of one of them."""


@dataclass(frozen=True, slots=True)
class Running:
    """One look."""

    status: str
    """idle, scheduled, started, running, paused, completed, cancelled or failed."""
    job_id: UUID | None
    outlook: Outlook
    errors: list[Trouble]

    @property
    def progress(self) -> Progress:
        """Recipients by status."""
        return self.outlook.progress

    @property
    def successful(self) -> int:
        """Recipients."""
        return max(0, self.progress.counts[AutomationStatus.SUCCESS])

    @property
    def failed(self) -> int:
        """Recipients."""
        return max(0, self.progress.counts[AutomationStatus.FAILED])

    @property
    def processed(self) -> int:
        """Recipients with an outcome."""
        return self.successful + self.failed

    @property
    def percentage(self) -> int:
        """Of the total, rounded down: 100 means all, also of nobody, once it is over."""
        if self.progress.wanted:
            return self.processed * 100 // self.progress.wanted
        return 100 if self.job_id is not None and self.progress.over and self.progress.planned else 0


def running(session: Session, org_id: UUID, campaign_id: UUID) -> Running:
    """How a campaign stands. Some twenty-five small statements, whatever its size.

    Raises:
        NotFound: there is no such campaign.
    """
    campaign = listing.find(session, Campaign, org_id, campaign_id)
    seen = outlook(session, campaign)
    job, open_ = seen.job, seen.progress.open_jobs > 0
    status = "idle" if job is None else JOB_WORDS[JobStatus(job.status)]
    job_id = None if job is None else job.id
    scheduled = None if open_ else next_due(session, org_id, [campaign_id]).get(campaign_id)
    if open_ and seen.progress.held:
        status = "paused"
    elif scheduled is not None:
        status, job_id = "scheduled", scheduled.id
    failures = seen.progress.counts[AutomationStatus.FAILED] + unplanned(session, campaign_id)["failed"]
    return Running(status, job_id, seen, _errors(session, campaign_id, failures))


def failure_codes(session: Session, org_id: UUID, campaign_id: UUID) -> list[str]:
    """The codes that recipients ended with, in order, at most 100. Index ix_recipient_failed."""
    codes = select(Recipient.error_code).where(
        Recipient.campaign_id == campaign_id, Recipient.org_id == org_id, Recipient.error_code.is_not(None)
    )
    return sorted(str(code) for code in session.scalars(codes.distinct().limit(_CODES_LISTED)))


def _errors(session: Session, campaign_id: UUID, failures: int) -> list[Trouble]:
    """Failures by code, most first. Index ix_recipient_failed: it holds who has an error, and nobody else.

    Args:
        failures: By the counters. What of them has no code was reported by others, who gave none.
    """
    failed = (
        Recipient.campaign_id == campaign_id,
        Recipient.error_code.is_not(None),
        Recipient.automation_status == AutomationStatus.FAILED,
    )
    by_code = select(Recipient.error_code, func.count()).where(*failed).group_by(Recipient.error_code)
    counts = Counter({str(code): count for code, count in session.execute(by_code)})
    counts[_UNKNOWN] += max(0, failures - counts.total())
    found = sorted((item for item in counts.items() if item[1]), key=lambda item: (-item[1], item[0]))
    troubles = []
    for code, count in found[:_CODES]:
        text = session.execute(
            select(Recipient.error_text).where(*failed, Recipient.error_code == code).limit(1)
        ).scalar_one_or_none()
        troubles.append(Trouble(code, count, text or ("" if code == _UNKNOWN else code)))
    return troubles
