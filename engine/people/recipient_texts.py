"""What rows about one recipient say in words: forgotten when a person is erased, or when their campaign is long over.

Statuses, instants, scores and ids stay: they are what is counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, func, or_, select, update

from state.sets import among
from state.tables import Attempt, Campaign, Engagement, Execution, Job, Recipient
from state.transitions import OPEN, CampaignStatus

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.kernel.runtime import Runtime

__all__ = ["TEXTS", "RecipientTexts"]

#: Table to the columns that hold texts, and what they are without.
TEXTS: dict[Any, dict[str, Any]] = {
    Recipient: {"title": "", "error_text": None, "portal_state": None, "analysis": None},
    Execution: {"error_text": None},
    Attempt: {"error_text": None},
    Engagement: {"data": None},
}
_OVER = (CampaignStatus.COMPLETED, CampaignStatus.CANCELLED)


class RecipientTexts:
    """Forgets the texts of campaigns that are over, a slice of recipients a transaction.

    How far a campaign is stays in memory: a process that follows another begins with it once more.
    """

    def __init__(self) -> None:
        self._place: tuple[UUID, datetime, UUID | None] | None = None
        """The campaign, when it ended, and the recipient after whom it goes on."""

    def forget(self, runtime: Runtime, before: datetime, most: int) -> tuple[int, bool]:
        """Look at up to `most` recipients of one campaign that ended before then.

        Returns:
            How many were looked at, and whether there may be more.
        """
        with runtime.transaction() as session:
            place = self._place or _next_campaign(session, before)
            if place is None:
                return 0, False
            campaign_id, ended_at, after = place
            ids = _recipients(session, campaign_id, after, most)
            if ids:
                _clear(session, campaign_id, ids)
            whole = len(ids) < most
            if whole:
                session.execute(
                    update(Campaign).where(Campaign.id == campaign_id).values(texts_kept_from=ended_at)
                )
        self._place = None if whole else (campaign_id, ended_at, ids[-1])
        return len(ids), True


def _next_campaign(session: Session, before: datetime) -> tuple[UUID, datetime, None] | None:
    """The campaign that ended first, of those that ended before then and still have texts. Reads every campaign that is
    over.
    """
    jobs = (
        select(
            Job.campaign_id,
            func.max(Job.finished_at).label("ended_at"),
            func.count().filter(Job.status.in_(OPEN)).label("open"),
        )
        .group_by(Job.campaign_id)
        .subquery()
    )
    ended_at = func.coalesce(jobs.c.ended_at, Campaign.updated_at)
    found = session.execute(
        select(Campaign.id, ended_at.label("ended_at"))
        .outerjoin(jobs, jobs.c.campaign_id == Campaign.id)
        .where(
            Campaign.status.in_(_OVER),
            func.coalesce(jobs.c.open, 0) == 0,
            ended_at < before,
            or_(Campaign.texts_kept_from.is_(None), Campaign.texts_kept_from < ended_at),
        )
        .order_by(ended_at, Campaign.id)
        .limit(1)
    ).first()
    return None if found is None else (found.id, found.ended_at, None)


def _recipients(session: Session, campaign_id: UUID, after: UUID | None, most: int) -> list[UUID]:
    """By primary key."""
    wanted = select(Recipient.entity_id).where(Recipient.campaign_id == campaign_id)
    if after is not None:
        wanted = wanted.where(Recipient.entity_id > after)
    return list(session.scalars(wanted.order_by(Recipient.entity_id).limit(most)))


def _clear(session: Session, campaign_id: UUID, ids: list[UUID]) -> None:
    """Primary keys, and the indexes (campaign_id, entity_id, …) of executions and engagement."""
    for table, texts in TEXTS.items():
        held = or_(*(getattr(table, name).is_distinct_from(value) for name, value in texts.items()))
        session.execute(
            update(table)
            .where(table.campaign_id == campaign_id, among(session, table.entity_id, ids), held)
            .values(texts)
            .execution_options(synchronize_session=False)
        )
    _clear_feedback(session, campaign_id, ids)


def _clear_feedback(session: Session, campaign_id: UUID, ids: list[UUID]) -> None:
    """What came back keeps its instants, by which a later report is known to be the second."""
    found = session.execute(
        select(Recipient.entity_id, Recipient.email_feedback).where(
            Recipient.campaign_id == campaign_id,
            among(session, Recipient.entity_id, ids),
            Recipient.email_feedback.is_not(None),
        )
    )
    changes = [
        {"p_entity_id": entity_id, "p_feedback": instants}
        for entity_id, feedback in found
        if feedback
        and (instants := {key: feedback[key] for key in feedback if key.endswith("_at")}) != feedback
    ]
    if changes:
        table = Recipient.__table__
        session.connection().execute(
            table.update()  # type: ignore[attr-defined]  # a table, not a selectable
            .where(table.c.campaign_id == campaign_id, table.c.entity_id == bindparam("p_entity_id"))
            .values(email_feedback=bindparam("p_feedback", type_=table.c.email_feedback.type)),
            changes,
        )
