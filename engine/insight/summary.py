"""What `getCampaignJobStatus` answers (docs/contract/targeting.md, operation 2): the job's status and its executions.

- The job is the campaign's newest one that is not over, else its newest.
- `execution_summary` holds the 1,000 executions of that job that were started last; more would not help
  anybody who polls. `execution_counts` says in full how many of the campaign's recipients are in which status
  (the schema is open for it), from the counters.
- A campaign without a job (a draft, or portal only) has nothing to say: `{}`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from engine.insight.outlook import outlook
from engine.insight.progress import Progress, campaign_progress
from engine.kernel.rule_violations import RuleCode, RuleViolation
from state.sets import among
from state.tables import Campaign, Job, Recipient, Slice
from state.transitions import OPEN

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session

__all__ = ["JobVersion", "executions_of", "job_status", "job_version"]

#: Executions in a summary at most.
BOUND = 1000


@dataclass(frozen=True, slots=True)
class JobVersion:
    """What a job's summary rests on; as long as it stays equal, so does what a reader cares about."""

    job_id: UUID | None
    kind: str
    status: str
    counts: tuple[tuple[str, int], ...]
    waits: tuple[Any, ...] = ()
    """Whether it is paused, until when it waits, and what for."""
    progress: Progress | None = field(default=None, repr=False, compare=False)
    """What `counts` are of."""

    @property
    def over(self) -> bool:
        """Whether nothing will change any more by itself."""
        return self.status not in OPEN


def job_version(session: Session, org_id: UUID, campaign_id: UUID) -> JobVersion:
    """How a campaign's job stands, in four small statements whatever its size.

    Raises:
        RuleViolation: CAMPAIGN_NOT_FOUND.
    """
    known = select(Campaign.id).where(Campaign.id == campaign_id, Campaign.org_id == org_id)
    if session.execute(known).first() is None:
        raise RuleViolation(RuleCode.CAMPAIGN_NOT_FOUND, f"campaign {campaign_id} does not exist")
    job = session.execute(
        select(Job.id, Job.kind, Job.status, Job.held, Job.waits_until, Job.waits_for)
        .where(Job.org_id == org_id, Job.campaign_id == campaign_id)
        .order_by(Job.status.in_(OPEN).desc(), Job.created_at.desc(), Job.id)
        .limit(1)
    ).one_or_none()
    if job is None:
        return JobVersion(None, "", "", ())
    progress = campaign_progress(session, org_id, campaign_id)
    return JobVersion(
        job.id,
        job.kind,
        job.status,
        tuple(progress.shown.items()),
        (job.held, job.waits_until, job.waits_for),
        progress,
    )


def job_status(
    session: Session, org_id: UUID, campaign_id: UUID, version: JobVersion | None = None
) -> dict[str, Any]:
    """`{status, execution_summary: [{execution_id, execution_status}], execution_counts}`, or `{}`; of a job that is
    not over, `waiting` and `estimated_completion` too (engine.insight.outlook).

    Args:
        session: Where to read.
        org_id: Whose campaign it is.
        campaign_id: Which.
        version: How its job stands, where that was read in this transaction.

    Raises:
        RuleViolation: CAMPAIGN_NOT_FOUND.
    """
    version = version or job_version(session, org_id, campaign_id)
    if version.job_id is None:
        return {}
    answer = {
        "status": version.status,
        "execution_summary": executions_of(session, org_id, version),
        "execution_counts": dict(version.counts),
    }
    if not version.over:
        seen = outlook(session, session.get_one(Campaign, campaign_id), version.progress)
        answer["waiting"] = [one.as_dict() for one in seen.waiting]
        if seen.completion is not None:
            answer["estimated_completion"] = seen.completion.isoformat()
    return answer


def executions_of(session: Session, org_id: UUID, version: JobVersion) -> list[dict[str, str]]:
    """The executions of the job's latest slices, at most `BOUND`.

    Slices are taken from the highest number that was ever leased downwards, so a million recipients cost as
    much as two thousand.
    """
    slices = select(Slice.number, Slice.size).where(Slice.job_id == version.job_id, Slice.org_id == org_id)
    if version.kind == "activation":  # a retrigger's recipients have their executions from the start
        slices = slices.where(Slice.lease_epoch > 0)
    numbers: list[int] = []
    covered = 0
    for number, size in session.execute(slices.order_by(Slice.number.desc()).limit(BOUND)):
        numbers.append(number)
        covered += size
        if covered >= 2 * BOUND:  # the slice in progress may have few executions yet
            break
    rows = session.execute(
        select(Recipient.current_execution_id, Recipient.status)
        .where(
            Recipient.job_id == version.job_id,
            among(session, Recipient.slice_number, numbers),
            Recipient.org_id == org_id,
            Recipient.current_execution_id.is_not(None),
            Recipient.automation_status.is_not(None),
        )
        .order_by(Recipient.slice_number.desc(), Recipient.entity_id)
        .limit(BOUND)
    )
    return [
        {"execution_id": str(execution_id), "execution_status": str(status)} for execution_id, status in rows
    ]
