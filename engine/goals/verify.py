"""Verify-goal (docs/contract/enrolled-targets.md): what was said in a target's calls, judged by the campaign's goal.

Three parts, so that nothing is held while an analyser thinks:

1. `gather` reads the conversations of completed call attempts in this campaign, oldest first (one transaction).
2. `judged` asks the analyser; no transaction, no connection.
3. `write` writes every field, the stage and the log entry, or nothing (one transaction, the row held).

Of two at once each writes whole. The one that comes second stands, unless the other knows a later conversation: a
later call is never undone by a verification that did not know it. The stage follows engine.engagement.stages; one that
somebody gave a word of their own while the analyser was thinking is left to them.

Who verified, when, by what, at which cost, and what came out is an entry of the engagement log (`verified`), which the
target's timeline shows and webhooks get (`recipient.verified`). When the analyser fails, nothing is written.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import select, update

from engine.engagement.engagement import Engaged, Kind, Medium, note
from engine.engagement.feedback import held
from engine.engagement.stages import verified
from engine.enrolled.analysis import analysed
from engine.enrolled.identity import entity_of
from engine.enrolled.targets import rows_of
from engine.goals.calls import conversations
from engine.goals.completions import CompletionsAnalyser
from engine.goals.port import AnalysisFailed, Question
from engine.goals.rules import RuleAnalyser
from engine.goals.transcript import join_conversations
from engine.kernel import listing
from state.change import clock_of
from state.errors import NotFound, StateError
from state.tables import Campaign, Recipient
from state.transitions import TargetStage

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.orm import Session

    from config.settings import Settings
    from engine.engagement.messages import Pair
    from engine.goals.port import Analyser, Verdict
    from engine.kernel.runtime import Runtime

__all__ = ["Asked", "NoConversation", "analyser_of", "gather", "judged", "verify_goal", "write"]

log = structlog.get_logger(__name__)


class NoConversation(StateError):
    """There is nothing to judge: no call to the target was completed with a conversation."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question about one target, and how the target was when it was put."""

    pair: Pair
    question: Question = field(repr=False)
    conversations: int
    """How many it is about."""
    newest_entry: int
    """The latest of their entries in the engagement log: who knows a later one knows more."""
    last_conversation_id: str
    stage: str


def analyser_of(settings: Settings) -> Analyser:
    """The analyser that the operator has configured; rules, when none is."""
    if settings.analyser_url is None or settings.analyser_model is None:
        return RuleAnalyser()
    return CompletionsAnalyser(
        url=str(settings.analyser_url),
        model=settings.analyser_model,
        key=settings.analyser_key.get_secret_value() if settings.analyser_key is not None else None,
        timeout=settings.analyser_timeout,
        prices=(settings.analyser_prompt_price, settings.analyser_completion_price),
    )


def gather(session: Session, org_id: UUID, campaign_id: UUID, target: UUID) -> Asked:
    """What is to be judged. Three statements.

    Args:
        target: The target's own id.

    Raises:
        NotFound: there is no such campaign, or no such live target in it.
        NoConversation: no call was completed with a conversation.
    """
    campaign = listing.find(session, Campaign, org_id, campaign_id)
    pair = (campaign_id, entity_of(campaign_id, target))
    stage = session.execute(select(Recipient.stage).where(*rows_of(org_id, *pair))).scalar_one_or_none()
    if stage is None:
        raise NotFound("target", target)
    found = conversations(session, org_id, pair)
    if not found:
        raise NoConversation("no call to this target was completed with a conversation")
    text = join_conversations([(one.at.strftime("%Y-%m-%d %H:%M UTC"), one.text) for one in found])
    return Asked(
        pair,
        Question(campaign.goal or "", text),
        len(found),
        max(one.entry for one in found),
        found[-1].conversation_id,
        stage,
    )


async def judged(analyser: Analyser, asked: Asked) -> Verdict:
    """Ask the analyser.

    Raises:
        AnalysisFailed: there is no analysis; it is logged with what it cost.
    """
    try:
        return await analyser.analyse(asked.question)
    except AnalysisFailed as error:
        campaign_id, entity_id = asked.pair
        log.warning(
            "goal.analysis_failed",
            campaign_id=str(campaign_id),
            recipient_id=str(entity_id),
            **error.log_fields(),
        )
        raise


def write(session: Session, org_id: UUID, asked: Asked, verdict: Verdict, *, by: str) -> Recipient:
    """Write a verdict whole, unless another has been written that knew more; returns the target as it is now.

    Args:
        by: Who asked for it, for the log.

    Raises:
        NotFound: the target was deleted meanwhile. Nothing was written.
    """
    row = held(session, org_id, {asked.pair}).get(asked.pair)
    if row is None or row.stage is None or row.deleted_at is not None:
        raise NotFound("target", asked.pair[1])
    if _known_to(row) > asked.newest_entry:
        log.info(
            "goal.verification_superseded", campaign_id=str(asked.pair[0]), recipient_id=str(asked.pair[1])
        )
        return row
    now = clock_of(session).now()
    analysis = verdict.analysis
    fields = analysis.model_dump()
    fields["analysis_source"] = verdict.source
    fields["goal_analysis"] |= {
        "conversations": asked.conversations,
        "newest_entry": asked.newest_entry,
        "last_conversation_id": asked.last_conversation_id,
        "verified_by": by,
        **asdict(verdict.usage),
    }
    stage = _stage(
        row.stage, asked.stage, analysis.campaign_goal_result, spoken=analysis.call_successful == "success"
    )
    session.execute(
        update(Recipient)
        .where(*rows_of(org_id, *asked.pair))
        .values(**analysed(fields, now=now, goal=True, before=row.analysis), stage=stage, updated_at=now)
        .execution_options(synchronize_session=False)
    )
    data: dict[str, Any] = {
        "by": by,
        "result": analysis.campaign_goal_result,
        "score": analysis.campaign_goal_score,
        "stage": stage,
        "source": verdict.source,
        "conversations": asked.conversations,
        **asdict(verdict.usage),
    }
    note(session, org_id, [Engaged(*asked.pair, Medium.VOICE, Kind.VERIFIED, now, data=data)])
    session.refresh(row)
    return row


async def verify_goal(
    runtime: Runtime,
    org_id: UUID,
    campaign_id: UUID,
    target: UUID,
    *,
    by: str,
    analyser: Analyser | None = None,
) -> Recipient:
    """All three parts; for callers that keep nothing of their own in the transaction that writes.

    Args:
        analyser: Stays the caller's to close; None: the configured one.

    Raises:
        NotFound, NoConversation, AnalysisFailed: see the parts. Nothing was written.
    """
    asked = await asyncio.to_thread(_gathered, runtime, org_id, campaign_id, target)
    asking = analyser or analyser_of(runtime.settings)
    try:
        verdict = await judged(asking, asked)
    finally:
        if analyser is None:
            await asking.close()
    return await asyncio.to_thread(_written, runtime, org_id, asked, verdict, by)


def _gathered(runtime: Runtime, org_id: UUID, campaign_id: UUID, target: UUID) -> Asked:
    with runtime.database.read() as session:
        return gather(session, org_id, campaign_id, target)


def _written(runtime: Runtime, org_id: UUID, asked: Asked, verdict: Verdict, by: str) -> Recipient:
    with runtime.transaction() as session:
        row = write(session, org_id, asked, verdict, by=by)
        session.expunge(row)
        return row


def _known_to(row: Recipient) -> int:
    """The latest entry of the log that the analysis on the row knows."""
    known = ((row.analysis or {}).get("goal_analysis") or {}).get("newest_entry")
    return known if isinstance(known, int) else 0


def _stage(current: str, before: str, result: str, *, spoken: bool) -> str:
    """The stage afterwards.

    Args:
        before: As it was when the question was put.
        spoken: Whether anybody was spoken to; a machine that answered engages nobody.
    """
    if current != before and current not in set(TargetStage):
        return current
    if not spoken and result == "unknown":
        return TargetStage.CONTACTED if current == TargetStage.NEW else current
    return verified(result, current)
