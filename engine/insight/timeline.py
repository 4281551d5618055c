"""One recipient's whole story in one campaign: who let it in, what it was sent, what came back, and what bars it.

Made from rows that are written anyway: the recipient, its executions (one for each touchpoint it has been through, and
each time it was run again), their attempts, the engagement log, and the suppression list. Ten statements at most.

| what | when |
|---|---|
| `recipient.enrolled` | a target let it in, or a report named it |
| `recipient.retriggered` | it was run again |
| `recipient.finished` | nothing is left of a flow of several touchpoints |
| `message.deferred`, `action.deferred` | an attempt that did not succeed and is made again: `attempt` is its number |
| `message.sent`, `.failed`, `.excluded`, `.waiting`, `.in_progress` | an execution of a message |
| `message.cancelled` | its job was stopped before its turn |
| `wait.over`, `action.done`, `action.failed`, `touchpoint.skipped` … | an execution of another touchpoint |
| `email.read`, `sms.delivered`, `portal.seen`, `email.converted` … | the engagement log: where, and what |
| `address.suppressed` | an address of the entity's was barred |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import select

from engine.audience.suppression_list import regions_of
from engine.delivery.cancel_codes import JOB_CANCELLED
from engine.kernel.addresses import address_texts
from engine.kernel.inputs import Invalid
from engine.kernel.listing import check_limit, decode_cursor, encode_cursor
from engine.kernel.media import AddressMedium, fold_address
from engine.kernel.money import major
from engine.kernel.rule_violations import RuleCode, RuleViolation
from state.errors import NotFound
from state.sets import among
from state.tables import (
    Attempt,
    Campaign,
    Engagement,
    Entity,
    Execution,
    Job,
    Recipient,
    Suppression,
    Target,
    Touchpoint,
)
from state.types import NIL_UUID

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from sqlalchemy.orm import Session

__all__ = ["Entry", "Timeline", "timeline"]

#: Rows of the engagement log that are shown, the latest; a recipient with more is a machine.
_ENGAGEMENTS = 5_000
#: Attempts that are shown, the latest.
_ATTEMPTS = 1_000
_ENDS = {"success": "sent", "failed": "failed", "cancelled": "excluded"}
_OTHERS = {"wait": {"success": "wait.over"}, "action": {"success": "action.done"}}


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that happened."""

    at: datetime
    what: str
    """A stable id; see the module."""
    data: dict[str, Any]
    """What is known of it, without what is absent."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """A page of a recipient's story, oldest first."""

    recipient: Recipient
    results: list[Entry]
    next: str | None
    total: int


def timeline(
    session: Session,
    org_id: UUID,
    campaign_id: UUID,
    entity_id: UUID,
    *,
    limit: int = 100,
    next: str | None = None,  # noqa: A002 - the word of the contract
) -> Timeline:
    """A page of one recipient's story.

    Raises:
        RuleViolation: CAMPAIGN_NOT_FOUND.
        NotFound: there is no such recipient.
        Invalid: `limit` is outside 1..1000, or `next` is no cursor of a timeline.
    """
    check_limit(limit)
    campaign = session.execute(
        select(Campaign).where(Campaign.id == campaign_id, Campaign.org_id == org_id)
    ).scalar_one_or_none()
    if campaign is None:
        raise RuleViolation(RuleCode.CAMPAIGN_NOT_FOUND, f"campaign {campaign_id} does not exist")
    row = session.execute(
        select(Recipient).where(
            Recipient.campaign_id == campaign_id,
            Recipient.entity_id == entity_id,
            Recipient.org_id == org_id,
        )
    ).scalar_one_or_none()
    if row is None:
        raise NotFound("recipient", entity_id)
    entries = sorted(_Story(session, campaign, row).entries(), key=lambda entry: entry.at)
    start = _position(next)
    results = entries[start : start + limit]
    more = start + limit < len(entries)
    return Timeline(row, results, encode_cursor([start + limit]) if more else None, len(entries))


def _position(cursor: str | None) -> int:
    if cursor is None:
        return 0
    try:
        (position,) = decode_cursor(cursor)
        return max(0, int(position))
    except (ValueError, TypeError, OverflowError):
        raise Invalid("next", "is not a cursor that this list gave out") from None


class _Story:
    """The parts of one recipient's story."""

    def __init__(self, session: Session, campaign: Campaign, row: Recipient) -> None:
        self._session = session
        self._campaign = campaign
        self._row = row
        self._steps: Mapping[UUID, Touchpoint] = {}

    def entries(self) -> Iterator[Entry]:
        """All of it, in no order."""
        earlier = list(
            self._session.scalars(
                select(Execution)
                .where(
                    Execution.campaign_id == self._row.campaign_id,
                    Execution.entity_id == self._row.entity_id,
                    Execution.org_id == self._row.org_id,
                )
                .order_by(Execution.ended_at, Execution.id)
            )
        )
        self._steps = {
            step.id: step
            for step in self._session.scalars(
                select(Touchpoint).where(
                    Touchpoint.org_id == self._row.org_id, Touchpoint.flow_id == self._campaign.flow_id
                )
            )
        }
        yield self._enrolled()
        if self._row.deleted_at is not None:
            yield _entry(self._row.deleted_at, "target.deleted")
        yield from self._jobs({one.job_id for one in earlier} | {self._row.job_id})
        for one in earlier:
            yield self._ended(one)
        yield from self._attempts()
        yield from self._current({one.id for one in earlier})
        yield from self._engagement()
        yield from self._suppressions()

    def _enrolled(self) -> Entry:
        row = self._row
        target = None
        if row.target_id is not None:
            target = self._session.execute(
                select(Target.name).where(Target.id == row.target_id, Target.org_id == row.org_id)
            ).scalar_one_or_none()
        return _entry(row.created_at, "recipient.enrolled", target_id=row.target_id, target=target)

    def _jobs(self, ids: set[UUID | None]) -> Iterator[Entry]:
        """Runs that took the recipient up again."""
        found = self._session.scalars(
            select(Job).where(
                Job.org_id == self._row.org_id,
                among(self._session, Job.id, [one for one in ids if one is not None]),
                Job.kind == "retrigger",
            )
        )
        for job in found:
            yield _entry(job.created_at, "recipient.retriggered", job_id=job.id)

    def _ended(self, one: Execution) -> Entry:
        step = self._step(one.touchpoint_id)
        return _entry(
            one.ended_at,
            _what(one.status, step, one.error_code),
            execution_id=one.id,
            attempt=one.attempt,
            variant=one.variant,
            error_code=one.error_code,
            error_text=one.error_text,
            **self._named(step, one.touchpoint_id),
        )

    def _attempts(self) -> Iterator[Entry]:
        """Attempts that were made again."""
        found = self._session.scalars(
            select(Attempt)
            .where(
                Attempt.campaign_id == self._row.campaign_id,
                Attempt.entity_id == self._row.entity_id,
                Attempt.org_id == self._row.org_id,
            )
            .order_by(Attempt.answered_at.desc(), Attempt.number.desc())
            .limit(_ATTEMPTS)
        ).all()
        for one in reversed(found):
            step = self._step(one.touchpoint_id)
            yield _entry(
                one.answered_at,
                f"{step.type if step is not None else 'message'}.deferred",
                execution_id=one.execution_id,
                attempt=one.number,
                times=one.times if one.times > 1 else None,
                error_code=one.error_code,
                error_text=one.error_text,
                **self._named(step, one.touchpoint_id),
            )

    def _current(self, shown: set[UUID]) -> Iterator[Entry]:
        """The execution that is on the recipient's row, unless it is shown already: a flow of several ended with it."""
        row = self._row
        if row.status is None:
            return
        if row.status == "success" and row.current_execution_id in shown:
            yield _entry(row.updated_at, "recipient.finished")
            return
        step = self._step(row.touchpoint_id)
        status = row.status
        what = _what(status, step, row.error_code)
        at = row.updated_at
        if status == "success":
            at = row.sent_at or at
        elif status == "pending":
            what = "message.waiting"
        elif status == "in_progress":
            what = (
                "message.in_progress"
                if step is None or step.type == "message"
                else f"{step.type}.in_progress"
            )
        yield _entry(
            at,
            what,
            execution_id=row.current_execution_id,
            attempt=row.attempt,
            variant=row.variant,
            due_at=row.due_at,
            error_code=row.error_code,
            error_text=row.error_text,
            **self._named(step, row.touchpoint_id),
        )

    def _step(self, touchpoint_id: UUID | None) -> Touchpoint | None:
        """The touchpoint; of a flow of one message that one, which no row names."""
        if touchpoint_id is not None:
            return self._steps.get(touchpoint_id)
        messages = [step for step in self._steps.values() if step.type == "message"]
        return messages[0] if len(messages) == 1 else None

    @staticmethod
    def _named(step: Touchpoint | None, touchpoint_id: UUID | None) -> dict[str, Any]:
        return {
            "touchpoint_id": step.id if step is not None else touchpoint_id,
            "touchpoint": (step.name or None) if step is not None else None,
        }

    def _engagement(self) -> Iterator[Entry]:
        row = self._row
        found = self._session.scalars(
            select(Engagement)
            .where(
                Engagement.campaign_id == row.campaign_id,
                Engagement.entity_id == row.entity_id,
                Engagement.org_id == row.org_id,
            )
            .order_by(Engagement.id.desc())
            .limit(_ENGAGEMENTS)
        ).all()
        for one in reversed(found):  # of one instant, as they were written
            step = self._steps.get(one.touchpoint_id) if one.touchpoint_id is not None else None
            revenue = None if one.revenue is None else str(major(one.revenue, one.currency or ""))
            yield _entry(
                one.happened_at,
                f"{one.channel}.{one.kind}",
                **{name: value for name, value in (one.data or {}).items() if name != "bot"},
                bot=(one.data or {}).get("bot", "reported") if one.bot else None,
                revenue=revenue,
                currency=one.currency,
                variant=one.variant,
                **self._named(step, one.touchpoint_id),
            )

    def _suppressions(self) -> Iterator[Entry]:
        """What bars the entity's addresses, here or everywhere."""
        row = self._row
        attributes = self._session.execute(
            select(Entity.attributes).where(Entity.id == row.entity_id, Entity.org_id == row.org_id)
        ).scalar_one_or_none()
        regions = regions_of(self._session, row.org_id)
        keys = {
            (medium.value, key)
            for text in address_texts(attributes)
            for medium in AddressMedium
            if (key := fold_address(medium, text, regions)) is not None
        }
        if not keys:
            return
        found = self._session.scalars(
            select(Suppression).where(
                Suppression.org_id == row.org_id,
                among(self._session, Suppression.address, {key for _, key in keys}),
                Suppression.campaign_id.in_([NIL_UUID, row.campaign_id]),
            )
        )
        for one in found:
            if (one.medium, one.address) not in keys:
                continue
            scope = "all" if one.campaign_id == NIL_UUID else "campaign"
            yield _entry(
                one.created_at,
                "address.suppressed",
                medium=one.medium,
                channel_kind=one.channel_kind,
                address=one.address,
                reason=one.reason,
                scope=scope,
            )


def _what(status: str, step: Touchpoint | None, error_code: str | None) -> str:
    """The stable id of an execution that ended."""
    if status == "skipped":
        return "touchpoint.skipped"
    kind = step.type if step is not None else "message"
    if kind != "message":
        return _OTHERS.get(kind, {}).get(status, f"{kind}.{status}")
    if error_code == JOB_CANCELLED:
        return "message.cancelled"
    return f"message.{_ENDS.get(status, status)}"


def _entry(at: datetime, what: str, **data: Any) -> Entry:
    return Entry(at, what, {name: _plain(value) for name, value in data.items() if value is not None})


def _plain(value: Any) -> Any:
    if isinstance(value, UUID):
        return str(value)
    return value.isoformat() if hasattr(value, "isoformat") else value
