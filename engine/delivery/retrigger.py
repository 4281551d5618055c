"""Retrigger: deliver again to recipients whose execution failed, and to nobody else (docs/contract/targeting.md).

The earlier execution goes into the history, the recipient gets a new one, and the chosen recipients are cut into the
slices of a job of their own; from there on everything is the one path of delivery.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from uuid import UUID, uuid4

from sqlalchemy import Integer, Uuid, select, update

from engine.delivery import history, slices
from engine.delivery.by_status import sliced_with
from engine.delivery.counters import lock_slices
from engine.delivery.insert_recipients import OF_MESSAGE
from engine.events.outbox import record
from engine.kernel.commands import Retrigger
from engine.kernel.rule_violations import RuleCode, RuleViolation
from engine.kernel.runtime import wake
from state.change import change_status, clock_of, sources_of
from state.errors import NotFound
from state.sets import among, rows
from state.tables import Campaign, Job, Recipient, Slice
from state.transitions import (
    AUTOMATION,
    JOB,
    SENDING,
    AutomationStatus,
    CampaignStatus,
    JobStatus,
    SliceState,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

    from engine.kernel.runtime import Runtime

__all__ = ["Retriggered", "may_retrigger", "retrigger", "retrigger_failed", "start"]


@dataclass(frozen=True, slots=True)
class Retriggered:
    """What became of one id of the request."""

    recipient_id: UUID
    result: Literal["success", "invalid_status", "not_found", "failure"]
    execution_id: UUID | None = None
    error: str | None = None


def retrigger(
    session: Session,
    org_id: UUID,
    campaign_id: UUID,
    recipient_ids: Sequence[UUID],
    *,
    window: int,
    slice_size: int,
) -> list[Retriggered]:
    """Deliver again to those of `recipient_ids` (entity ids) that failed; one answer for each id, in their order.

    An id that is given twice is answered twice and delivered to once.

    Raises:
        NotFound: there is no such campaign.
        RuleViolation: CAMPAIGN_HAS_NO_DELIVERY_METHOD, it has no flow.
    """
    campaign = _campaign(session, org_id, campaign_id)
    wanted = list(dict.fromkeys(recipient_ids))
    lock_slices(session, Recipient.campaign_id == campaign_id, among(session, Recipient.entity_id, wanted))
    statuses = dict(
        session.execute(
            select(Recipient.entity_id, Recipient.automation_status)
            .where(
                Recipient.campaign_id == campaign_id,
                Recipient.org_id == org_id,
                Recipient.deleted_at.is_(None),
                among(session, Recipient.entity_id, wanted),
            )
            .order_by(Recipient.entity_id)
            .with_for_update()
        ).all()
    )
    failed = [entity_id for entity_id in wanted if statuses.get(entity_id) == AutomationStatus.FAILED]
    executions = _start_over(session, campaign, failed, window=window, slice_size=slice_size)
    return [_answer(entity_id, statuses, executions) for entity_id in recipient_ids]


def retrigger_failed(
    session: Session,
    org_id: UUID,
    campaign_id: UUID,
    *,
    window: int,
    slice_size: int,
    error_code: str | None = None,
) -> int:
    """Deliver again to every failed recipient of a campaign, or to those with one error code; returns how many.

    Raises:
        NotFound, RuleViolation: as `retrigger`.
    """
    campaign = _campaign(session, org_id, campaign_id)
    condition = [
        Recipient.campaign_id == campaign_id,
        Recipient.org_id == org_id,
        Recipient.automation_status == AutomationStatus.FAILED,
        Recipient.deleted_at.is_(None),
    ]
    if error_code is not None:
        condition.append(Recipient.error_code == error_code)
    failed: list[UUID] = []
    for where in (
        sliced_with(campaign_id, [AutomationStatus.FAILED]),
        Recipient.unsliced_status == AutomationStatus.FAILED,
    ):
        lock_slices(session, where, *condition)
        failed += session.scalars(select(Recipient.entity_id).where(where, *condition).with_for_update())
    return len(_start_over(session, campaign, sorted(failed), window=window, slice_size=slice_size))


def may_retrigger(campaign: Campaign, recipient: Recipient) -> bool:
    """Whether `retrigger` would deliver to the recipient again."""
    return (
        campaign.flow_id is not None
        and recipient.automation_status == AutomationStatus.FAILED
        and recipient.deleted_at is None
    )


def start(runtime: Runtime, org_id: UUID, job_id: UUID) -> bool:
    """Let a retrigger's job begin: queued → processing, its first slices woken. False for a repeated wake-up."""
    with runtime.transaction() as session:
        job = session.execute(
            select(Job).where(Job.id == job_id, Job.org_id == org_id).with_for_update(key_share=True)
        ).scalar_one_or_none()
        if job is None or job.status != JobStatus.QUEUED or not job.planned or job.held:
            return False
        change_status(
            session,
            JOB,
            JobStatus.PROCESSING,
            Job.id == job_id,
            Job.org_id == org_id,
            key=job_id,
            started_at=clock_of(session).now(),
        )
        slices.wake_next(session, org_id, job_id)
        return True


def _campaign(session: Session, org_id: UUID, campaign_id: UUID) -> Campaign:
    campaign = session.execute(
        select(Campaign).where(Campaign.id == campaign_id, Campaign.org_id == org_id)
    ).scalar_one_or_none()
    if campaign is None:
        raise NotFound("campaign", campaign_id)
    if campaign.flow_id is None:
        raise RuleViolation(RuleCode.CAMPAIGN_HAS_NO_DELIVERY_METHOD, f"campaign {campaign_id} has no flow")
    return campaign


def _answer(entity_id: UUID, statuses: dict[UUID, str | None], executions: dict[UUID, UUID]) -> Retriggered:
    if entity_id in executions:
        return Retriggered(entity_id, "success", execution_id=executions[entity_id])
    if entity_id in statuses:
        return Retriggered(
            entity_id,
            "invalid_status",
            error=f"only failed recipients run again; this one is {statuses[entity_id]}",
        )
    return Retriggered(entity_id, "not_found", error="no such recipient in this campaign")


def _start_over(
    session: Session, campaign: Campaign, entity_ids: Sequence[UUID], *, window: int, slice_size: int
) -> dict[UUID, UUID]:
    """Give these failed, locked recipients a new execution in a new job; returns entity id → execution id."""
    if not entity_ids:
        return {}
    now = clock_of(session).now()
    history.keep(session, campaign.id, entity_ids, AutomationStatus.FAILED)
    pieces = _pieces(session, campaign, entity_ids, slice_size)
    job = Job(
        id=uuid4(),
        org_id=campaign.org_id,
        campaign_id=campaign.id,
        kind="retrigger",
        held=campaign.status == CampaignStatus.PAUSED and _has_held_job(session, campaign),
        token=secrets.token_urlsafe(24),
        window=window,
        flow_id=campaign.flow_id,
        planned=True,
        total=len(entity_ids),
        slices_total=len(pieces),
        touched_at=now,
        created_at=now,
        updated_at=now,
    )
    session.add(job)
    session.flush()
    session.add_all(
        Slice(
            org_id=campaign.org_id,
            campaign_id=campaign.id,
            job_id=job.id,
            number=number,
            state=SliceState.READY,
            size=len(piece),
            due_at=now,
            target_id=target_id,
        )
        for number, (target_id, piece) in enumerate(pieces)
    )
    executions = {entity_id: uuid4() for entity_id in entity_ids}
    given = rows(
        session,
        {"entity_id": Uuid, "execution_id": Uuid, "slice_number": Integer},
        [
            (entity_id, executions[entity_id], number)
            for number, (_, piece) in enumerate(pieces)
            for entity_id in piece
        ],
    )
    session.execute(
        update(Recipient)
        .where(
            Recipient.campaign_id == campaign.id,
            Recipient.entity_id == given.c.entity_id,
            sources_of(AUTOMATION, AutomationStatus.PENDING, only_from=[AutomationStatus.FAILED]),
        )
        .values(
            automation_status=AutomationStatus.PENDING,
            execution_id=given.c.execution_id,
            job_id=job.id,
            slice_number=given.c.slice_number,
            attempt=0,
            due_at=None,
            error_code=None,
            error_text=None,
            updated_at=now,
            **dict.fromkeys(OF_MESSAGE),
        )
        .execution_options(synchronize_session=False)
    )
    record(
        session,
        campaign.org_id,
        "campaign.retriggered",
        campaign_id=campaign.id,
        job_id=job.id,
        count=len(entity_ids),
    )
    wake(session, Retrigger(org_id=campaign.org_id, job_id=job.id))
    return executions


def _pieces(
    session: Session, campaign: Campaign, entity_ids: Sequence[UUID], slice_size: int
) -> list[tuple[UUID | None, list[UUID]]]:
    """Cut recipients into slices, each of one segment (engine.delivery.rollup)."""
    targets = dict(
        session.execute(
            select(Recipient.entity_id, Recipient.target_id).where(
                Recipient.campaign_id == campaign.id, among(session, Recipient.entity_id, entity_ids)
            )
        ).all()
    )
    segments: dict[UUID | None, list[UUID]] = defaultdict(list)
    for entity_id in entity_ids:
        segments[targets[entity_id]].append(entity_id)
    return [
        (target_id, people[start : start + slice_size])
        for target_id, people in segments.items()
        for start in range(0, len(people), slice_size)
    ]


def _has_held_job(session: Session, campaign: Campaign) -> bool:
    statement = select(Job.id).where(
        Job.org_id == campaign.org_id,
        Job.campaign_id == campaign.id,
        Job.held.is_(True),
        Job.status.in_(SENDING),
    )
    return session.execute(statement.limit(1)).first() is not None
