"""Calls in the engagement log: that one was placed, and what became of it; and what of that stands on a target.

Promises:
- A conversation is taken once, by the provider's id of it, however often and by however many at once it is reported.
- `calls_made` counts those that are taken, in the transaction that takes them, so that it is as many as there are rows.
- The latest call's summary and id stand on the target; one that is reported late changes no later one's.
- About somebody who is no recipient of the campaign nothing is written.

A call attempt is a row of kind `call_attempt` whose data hold `conversation_id`, `status` (completed, busy, no_answer,
failed), `seconds`, and `meta.elevenlabs.conversation_formatted` where somebody spoke
(docs/contract/enrolled-targets.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import select, update

from engine.engagement.engagement import Engaged, Kind, Medium, known_events, note
from engine.engagement.erased import erased_among
from engine.engagement.feedback import held
from engine.engagement.placed_calls import placed_event
from engine.engagement.stages import moved_to
from engine.enrolled.analysis import analysed
from engine.goals.signals import somebody_spoke
from state.change import clock_of
from state.tables import Engagement, Recipient
from state.transitions import TargetStage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.engagement.messages import Pair

__all__ = ["MOST", "Attempt", "Conversation", "conversations", "recipient_of", "take_attempt"]

#: Conversations of one target that are read, the latest.
MOST = 50

Status = Literal["completed", "busy", "no_answer", "failed"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of one call."""

    conversation_id: str
    status: Status
    at: datetime
    """When it began, or was tried."""
    seconds: int | None = None
    conversation: str | None = None
    """As `engine.goals.transcript` writes it; absent: nobody said anything."""
    successful: str | None = None
    title: str | None = None
    summary: str | None = None
    """The provider's own judgement."""
    reason: str | None = None
    """Why it did not come about."""
    touchpoint_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """One that was kept."""

    at: datetime
    conversation_id: str
    text: str
    entry: int
    """Its number in the engagement log, which grows with every entry."""


def recipient_of(session: Session, org_id: UUID, conversation_id: str) -> Pair | None:
    """Whom a call went to that we placed; None: it is not known. Unique key (org_id, event_id)."""
    found = session.execute(
        select(Engagement.campaign_id, Engagement.entity_id).where(
            Engagement.org_id == org_id, Engagement.event_id == placed_event(conversation_id)
        )
    ).first()
    return (found[0], found[1]) if found is not None else None


def take_attempt(
    session: Session, org_id: UUID, pair: Pair, attempt: Attempt
) -> Literal["taken", "known", "nobody"]:
    """Write what became of a call; says whether it was new, known already, or about nobody."""
    people = held(session, org_id, {pair})
    if pair not in people or erased_among(session, org_id, [pair[1]]):
        return "nobody"
    event_id = f"call:{attempt.conversation_id}"
    if known_events(session, org_id, [event_id]):
        return "known"
    session.execute(
        update(Recipient)
        .where(Recipient.campaign_id == pair[0], Recipient.entity_id == pair[1], Recipient.org_id == org_id)
        .values(_after(people[pair], attempt, clock_of(session).now()))
        .execution_options(synchronize_session=False)
    )
    data: dict[str, Any] = {
        "conversation_id": attempt.conversation_id,
        "status": attempt.status,
        "seconds": attempt.seconds,
        "reason": attempt.reason,
        "meta": {"elevenlabs": {"conversation_formatted": attempt.conversation}}
        if attempt.conversation
        else None,
    }
    given = {name: value for name, value in data.items() if value is not None}
    engaged = Engaged(
        *pair,
        Medium.VOICE,
        Kind.CALL_ATTEMPT,
        attempt.at,
        event_id,
        given,
        touchpoint_id=attempt.touchpoint_id,
    )
    note(session, org_id, [engaged])
    return "taken"


def conversations(session: Session, org_id: UUID, pair: Pair) -> list[Conversation]:
    """The conversations of completed call attempts, oldest first; of more than `MOST` the latest. Index (campaign_id,
    entity_id, channel, kind).
    """
    found: Sequence[Engagement] = session.scalars(
        select(Engagement)
        .where(
            Engagement.campaign_id == pair[0],
            Engagement.entity_id == pair[1],
            Engagement.org_id == org_id,
            Engagement.channel == Medium.VOICE,
            Engagement.kind == Kind.CALL_ATTEMPT,
        )
        .order_by(Engagement.happened_at.desc(), Engagement.id.desc())
        .limit(MOST)
    ).all()
    return [kept for row in reversed(found) if (kept := _kept(row)) is not None]


def _kept(row: Engagement) -> Conversation | None:
    data = row.data or {}
    text = (data.get("meta") or {}).get("elevenlabs", {}).get("conversation_formatted")
    if data.get("status") != "completed" or not isinstance(text, str) or not text.strip():
        return None
    return Conversation(row.happened_at, str(data.get("conversation_id", "")), text, row.id)


def _after(row: Recipient, attempt: Attempt, now: datetime) -> dict[str, Any]:
    """The recipient's columns after a call; of one that is no target only that it changed."""
    if row.stage is None:
        return {"updated_at": now}
    engaged = attempt.conversation is not None and somebody_spoke(attempt.conversation)
    values: dict[str, Any] = {
        "updated_at": now,
        "calls_made": (row.calls_made or 0) + 1,
        "stage": moved_to(TargetStage.ENGAGED if engaged else TargetStage.CONTACTED),
    }
    if (
        row.last_conv_id is not None
        and row.last_contacted_at is not None
        and attempt.at < row.last_contacted_at
    ):
        return values
    values |= {
        "last_conv_id": attempt.conversation_id,
        "last_contacted_at": max(attempt.at, row.last_contacted_at or attempt.at),
    }
    fields = {
        "call_successful": attempt.successful,
        "call_summary_title": attempt.title,
        "transcript_summary": attempt.summary,
    }
    if any(fields.values()):
        values |= analysed(
            {**fields, "analysis_source": "elevenlabs"}, now=now, goal=False, before=row.analysis
        )
    return values
