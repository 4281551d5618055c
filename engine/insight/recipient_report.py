"""One recipient's story in one campaign, and in one sentence what became of it or what it waits for: `muster why`.

Somebody who is no recipient has a sentence too: nothing was planned yet, the run did not reach so far, or no target
lets them in. Instants in sentences are in the organization's time zone, with their offset.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import func, select

from engine.delivery.retrigger import may_retrigger
from engine.filters.targets import audience
from engine.insight.outlook import outlook
from engine.insight.scheduled_starts import next_due
from engine.insight.timeline import timeline
from engine.kernel.listing import MAX_LIMIT
from state.change import clock_of
from state.sampling import within
from state.sets import among
from state.tables import Campaign, Entity, Execution, Organization, Recipient, Target
from state.transitions import AutomationStatus

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy.orm import Session

    from engine.insight.outlook import Outlook
    from engine.insight.timeline import Entry
    from engine.insight.waiting import Waiting

__all__ = ["Attempted", "RecipientReport", "campaigns_of_entity", "recipient_report"]


@dataclass(frozen=True, slots=True)
class Attempted:
    """One execution: a message, or another touchpoint, that it was run through."""

    execution_id: UUID | None
    status: str
    touchpoint_id: UUID | None
    attempt: int
    at: datetime
    error_code: str | None
    error_text: str | None


@dataclass(frozen=True, slots=True)
class RecipientReport:
    """What happened to one entity in one campaign."""

    entity: Entity
    verdict: str
    """In one sentence."""
    waiting: Sequence[Waiting] = ()
    """What holds the campaign back, where the recipient's turn depends on it."""
    executions: Sequence[Attempted] = ()
    timeline: Sequence[Entry] = field(default_factory=list)


#: Campaigns of an entity that are shown, the newest, and those that are looked through.
_CAMPAIGNS, _LOOKED_THROUGH = 100, 5_000


def campaigns_of_entity(session: Session, org_id: UUID, entity_id: UUID) -> list[tuple[Campaign, Recipient]]:
    """The campaigns that have an entity as a recipient, newest first. Two statements, by primary keys."""
    newest = (
        select(Campaign.id)
        .where(Campaign.org_id == org_id)
        .order_by(Campaign.created_at.desc(), Campaign.id)
        .limit(_LOOKED_THROUGH)
    )
    found = session.execute(
        select(Campaign, Recipient)
        .join(Recipient, Recipient.campaign_id == Campaign.id)
        .where(
            among(session, Recipient.campaign_id, list(session.scalars(newest))),
            Recipient.entity_id == entity_id,
            Recipient.org_id == org_id,
            Recipient.deleted_at.is_(None),
        )
        .order_by(Campaign.created_at.desc(), Campaign.id)
        .limit(_CAMPAIGNS)
    )
    return [(campaign, recipient) for campaign, recipient in found]


def recipient_report(session: Session, campaign: Campaign, entity: Entity) -> RecipientReport:
    """What happened to `entity` in `campaign`."""
    recipient = session.execute(
        select(Recipient).where(
            Recipient.campaign_id == campaign.id,
            Recipient.org_id == campaign.org_id,
            Recipient.entity_id == entity.id,
        )
    ).scalar_one_or_none()
    seen = outlook(session, campaign)
    words = _Words(session, campaign, entity, seen)
    if recipient is None:
        return RecipientReport(entity, words.absent())
    pending = recipient.status in (AutomationStatus.PENDING, AutomationStatus.IN_PROGRESS)
    entries = timeline(session, campaign.org_id, campaign.id, entity.id, limit=MAX_LIMIT).results
    return RecipientReport(
        entity,
        words.verdict(recipient),
        seen.waiting if pending else (),
        _executions(session, campaign, entity.id, recipient),
        entries,
    )


def _executions(
    session: Session, campaign: Campaign, entity_id: UUID, recipient: Recipient
) -> list[Attempted]:
    earlier = session.scalars(
        select(Execution)
        .where(
            Execution.campaign_id == campaign.id,
            Execution.org_id == campaign.org_id,
            Execution.entity_id == entity_id,
        )
        .order_by(Execution.ended_at)
    )
    # Of a flow of several touchpoints the last one delivered stands in both places.
    attempts = [
        _attempted(row, row.id, row.status, row.ended_at)
        for row in earlier
        if row.id != recipient.current_execution_id
    ]
    status = recipient.status
    if status is not None:
        attempts.append(_attempted(recipient, recipient.current_execution_id, status, recipient.updated_at))
    return attempts


def _attempted(row: Recipient | Execution, execution_id: UUID | None, status: str, at: datetime) -> Attempted:
    return Attempted(execution_id, status, row.touchpoint_id, row.attempt, at, row.error_code, row.error_text)


class _Words:
    """Sentences about one recipient."""

    def __init__(self, session: Session, campaign: Campaign, entity: Entity, seen: Outlook) -> None:
        self._session = session
        self._campaign = campaign
        self._entity = entity
        self._seen = seen
        zone = session.scalars(
            select(Organization.time_zone).where(Organization.id == campaign.org_id)
        ).one_or_none()
        self._zone = ZoneInfo(zone or "UTC")

    def verdict(self, recipient: Recipient) -> str:
        """What became of a recipient."""
        status = recipient.status
        if recipient.deleted_at is not None:
            return f"removed from the campaign at {self._at(recipient.deleted_at)}; restoring brings it back"
        if status is None:
            return "a recipient of the portal widget only; nothing is sent"
        if status == AutomationStatus.SUCCESS:
            sent = recipient.sent_at
            return "delivered" if sent is None else f"delivered at {self._at(sent)}"
        if status == AutomationStatus.CANCELLED:
            return f"not sent: {_error(recipient) or 'cancelled'}"
        if status == AutomationStatus.FAILED:
            again = "; `muster retrigger` would try again" if may_retrigger(self._campaign, recipient) else ""
            tried = f" after {_times(recipient.attempt)}" if recipient.attempt > 1 else ""
            return f"failed{tried} with {_error(recipient)}{again}"
        if recipient.in_flight:
            return "being sent now"
        return self._pending(recipient)

    def _pending(self, recipient: Recipient) -> str:
        """Of somebody who is to be written to, or to again."""
        delivered = self._delivered()
        done = f"{delivered} sent, the next one not yet" if delivered else "not sent yet"
        parts = []
        if recipient.attempt:
            parts.append(f"tried {_times(recipient.attempt)}, the last ended with {_error(recipient)}")
        elif recipient.error_code is not None:
            parts.append(_error(recipient))
        stopped = self._seen.stopped
        if stopped is not None:
            until = "" if stopped.until is None else f" until {self._at(stopped.until)}"
            parts.append(f"the campaign waits{until} ({stopped.code}: {stopped.reason})")
        elif self._seen.progress.over:
            parts.append("no job of the campaign is running")
        due = recipient.due_at
        if due is not None and due > self._seen.at:
            parts.append(f"due at {self._at(due)}")
        elif stopped is None and not self._seen.progress.over:
            parts.append("its turn comes")
        return "; ".join([done, *parts])

    def _delivered(self) -> int:
        """Messages that it has had of this flow."""
        return int(
            self._session.execute(
                select(func.count())
                .select_from(Execution)
                .where(
                    Execution.campaign_id == self._campaign.id,
                    Execution.entity_id == self._entity.id,
                    Execution.org_id == self._campaign.org_id,
                    Execution.status == AutomationStatus.SUCCESS,
                )
            ).scalar_one()
        )

    def absent(self) -> str:
        """Why somebody is no recipient, or not yet."""
        campaign = self._campaign
        matched = self._match()
        scheduled = next_due(self._session, campaign.org_id, [campaign.id]).get(campaign.id)
        unplanned = self._seen.progress.open_jobs > 0 and not self._seen.progress.planned
        if matched is None:
            when = "" if campaign.activated_at is not None else "; the campaign was never activated"
            return (
                f"no recipient: matches none of the campaign's targets (it is a {self._entity.schema}){when}"
            )
        if unplanned:
            why = self._seen.stopped
            held = "" if why is None else f" ({why.code}: {why.reason})"
            return f"not planned yet: matches {matched!r}, and the audience is still being written{held}"
        if scheduled is not None:
            return (
                f"not planned yet: matches {matched!r}; the campaign starts at {self._at(scheduled.due_at)}"
            )
        if campaign.activated_at is None:
            return f"not planned yet: matches {matched!r}; the campaign was never activated"
        if not self._reached():
            return (
                f"not planned yet: matches {matched!r}; the campaign was executed for {campaign.reach:g} % of "
                "its audience, and this is one of the others"
            )
        return f"no recipient: matches {matched!r} now, and did not when the campaign was activated"

    def _match(self) -> str | None:
        """The name of a target that lets the entity in now."""
        campaign, now = self._campaign, clock_of(self._session).now()
        wanted = [UUID(target_id) for target_id in campaign.target_ids]
        targets = self._session.scalars(
            select(Target).where(Target.org_id == campaign.org_id, Target.id.in_(wanted))
        )
        for target in targets:
            conditions = audience(self._session, campaign.org_id, target, now)
            matches = select(Entity.id).where(Entity.id == self._entity.id, *conditions)
            if self._session.execute(matches).first() is not None:
                return target.name
        return None

    def _reached(self) -> bool:
        sampled = within(self._session, self._campaign.id, Entity.id, self._campaign.reach)
        if sampled is None:
            return True
        among = select(Entity.id).where(Entity.id == self._entity.id, sampled)
        return self._session.execute(among).first() is not None

    def _at(self, instant: datetime) -> str:
        return instant.astimezone(self._zone).isoformat(sep=" ", timespec="seconds")


def _error(recipient: Recipient) -> str:
    code, text = recipient.error_code, recipient.error_text
    return (code or "no reason given") if not text or text == code else f"{code}: {text}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
