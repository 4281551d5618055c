"""The default analyser: rules over what was said. Offline, free, and the same answer to the same question every time.

| field | rule |
|---|---|
| `campaign_goal_result` | the customer's latest decision, or the agent's word that it is done: `success`, `failure` |
| sentiment | the sum of feelings: of the latest conversation for the customer, of all for the campaign |
| `follow_up_required` | a call-back, something asked for or promised, an escalation, or no decision |
| `callback_requested` | the customer asked to be called again, or took the offer, and did not take it back |
| `escalation_required` | a complaint, a lawyer, a superior asked for, danger |

`docs/goals.md` says how well it does, and `tests/goals/transcripts.ndjson` on what.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from engine.goals.port import Analysis, GoalAnalysis, Verdict
from engine.goals.signals import read_signals
from engine.goals.transcript import read_turns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.goals.port import Question, Result, Sentiment
    from engine.goals.signals import Decision, Signals

__all__ = ["SOURCE", "RuleAnalyser", "judge"]

#: Counted up when the rules give another answer to something.
SOURCE = "rules/1"

#: How far from nothing the sum of feelings must be.
_FELT = 0.75
#: What somebody who only says hello and thanks cannot reach.
_MOST_FROM_ONE = 2.0
_RESULTS: dict[str, Result] = {"accepted": "success", "refused": "failure", "open": "unknown"}
_TITLES = {"success": "Goal reached", "failure": "Goal missed", "unknown": "No decision"}


class RuleAnalyser:
    """Judges by rules; see the module."""

    async def analyse(self, question: Question) -> Verdict:
        """Judge; never fails."""
        return Verdict(await asyncio.to_thread(judge, question), SOURCE)

    async def close(self) -> None:
        """Nothing to give back."""


def judge(question: Question) -> Analysis:
    """The analysis of one target's conversations."""
    found = read_signals(read_turns(question.conversation), question.goal)
    if not found.customer_turns:
        return _nobody(found)
    decision = _decided(found.decisions)
    result: Result = _RESULTS[decision.kind] if decision is not None else "unknown"
    score = _score(decision)
    latest = _sentiment([feeling for feeling in found.feelings if feeling[0] == found.last_call])
    overall = _sentiment(found.feelings)
    callback = bool(found.callbacks) and len(found.callbacks) > len(found.no_callbacks)
    escalation = bool(found.escalations)
    open_ends = _open_ends(found, result, callback=callback)
    reason = _reason(decision)
    label = _label(result, overall)
    return Analysis(
        goal_analysis=GoalAnalysis(
            evidence=_quotes(decision.quote if decision is not None else None),
            objections=_quotes(*(one.quote for one in found.decisions if one.kind != "accepted")),
            next_steps=_quotes(*found.callbacks, *found.information, *found.promises),
        ),
        ai_label=label,
        ai_score=round(0.7 * score + 0.3 * {"positive": 1.0, "negative": 0.0}.get(overall, 0.5), 2),
        ai_reason=f"{reason} The customer sounds {overall}.",
        call_successful="success",
        call_summary_title=_title(result, escalation=escalation, callback=callback),
        transcript_summary=_summary(found, reason, overall, open_ends),
        agent_goal_result=_agents(found, decision),
        agent_goal_rationale=(
            f"The agent asked: {found.goal_raised}"
            if found.goal_raised is not None
            else "The agent did not ask for what the campaign is for."
        ),
        customer_sentiment=latest,
        customer_sentiment_rationale=_felt(
            latest, [said for call, _, said in found.feelings if call == found.last_call]
        ),
        follow_up_required=bool(open_ends),
        follow_up_required_rationale=open_ends[0] if open_ends else "Nothing is left open.",
        escalation_required=escalation,
        escalation_required_rationale=(
            f"The customer said: {found.escalations[-1]}"
            if escalation
            else "Nothing that somebody else must look at."
        ),
        campaign_goal_result=result,
        campaign_goal_score=score,
        campaign_goal_rationale=reason,
        campaign_sentiment=overall,
        campaign_sentiment_rationale=_felt(overall, [said for _, _, said in found.feelings]),
        callback_requested=callback,
        callback_requested_rationale=(
            f"The customer said: {found.callbacks[-1]}"
            if callback
            else "The customer did not ask to be called again."
        ),
        campaign_next_best_action=_next(
            result, escalation=escalation, callback=callback, information=bool(found.information)
        ),
    )


def _nobody(found: Signals) -> Analysis:
    """Nobody was spoken to: a machine answered, or nobody said anything."""
    why = "A machine answered." if found.machines else "The customer said nothing."
    return Analysis(
        goal_analysis=GoalAnalysis(evidence=[], objections=[], next_steps=[]),
        ai_label="unknown",
        ai_score=0.5,
        ai_reason=why,
        call_successful="failure",
        call_summary_title="Nobody was reached",
        transcript_summary=f"{why} There was no conversation.",
        agent_goal_result="unknown",
        agent_goal_rationale=why,
        customer_sentiment="unknown",
        customer_sentiment_rationale=why,
        follow_up_required=True,
        follow_up_required_rationale=f"{why} The customer has not heard of it yet.",
        escalation_required=False,
        escalation_required_rationale=why,
        campaign_goal_result="unknown",
        campaign_goal_score=0.5,
        campaign_goal_rationale=why,
        campaign_sentiment="unknown",
        campaign_sentiment_rationale=why,
        callback_requested=False,
        callback_requested_rationale=why,
        campaign_next_best_action="Call again at another time of day.",
    )


def _decided(decisions: Sequence[Decision]) -> Decision | None:
    """The latest word. A yes in passing does not undo a clear no that was said before it, in the same call."""
    last: Decision | None = None
    for one in decisions:
        weak = (
            last is not None and last.call == one.call and last.kind == "refused" and one.kind == "accepted"
        )
        if weak and last is not None and one.weight < last.weight:
            continue
        last = one
    return last


def _score(decision: Decision | None) -> float:
    if decision is None or decision.kind == "open":
        return 0.5
    half = decision.weight / 2
    return round(0.5 + half if decision.kind == "accepted" else 0.5 - half, 2)


def _sentiment(feelings: Sequence[tuple[int, float, str]]) -> Sentiment:
    total = sum(max(-_MOST_FROM_ONE, min(_MOST_FROM_ONE, weight)) for _, weight, _ in feelings)
    if abs(total) < _FELT:
        return "neutral"
    return "positive" if total > 0 else "negative"


def _label(result: Result, overall: Sentiment) -> Sentiment:
    if result == "unknown":
        return overall
    return "positive" if result == "success" else "negative"


def _open_ends(found: Signals, result: Result, *, callback: bool) -> list[str]:
    """Why somebody must come back to it."""
    ends = []
    if found.escalations:
        ends.append(f"Somebody must answer this: {found.escalations[-1]}")
    if callback:
        ends.append(f"The customer wants to be called again: {found.callbacks[-1]}")
    if found.information:
        ends.append(f"The customer asked for something: {found.information[-1]}")
    if found.promises and result != "failure":
        ends.append(f"The agent promised something: {found.promises[-1]}")
    if result == "unknown":
        ends.append("The customer has not decided.")
    return ends


def _agents(found: Signals, decision: Decision | None) -> Result:
    if found.goal_raised is None and (decision is None or decision.kind != "accepted"):
        return "failure"
    return "success" if decision is not None and decision.kind != "open" else "unknown"


def _reason(decision: Decision | None) -> str:
    if decision is None:
        return "Nothing was said that decides it."
    words = {"accepted": "It was agreed to", "refused": "It was refused", "open": "It was left open"}
    return f"{words[decision.kind]}: {decision.quote}"


def _title(result: Result, *, escalation: bool, callback: bool) -> str:
    return _TITLES[result] + (", escalation" if escalation else "") + (", call back" if callback else "")


def _summary(found: Signals, reason: str, overall: str, open_ends: Sequence[str]) -> str:
    calls = found.last_call + 1
    parts = [
        f"{calls} conversation{'s' if calls > 1 else ''}, the customer sounds {overall}.",
        reason,
        *open_ends,
    ]
    return " ".join(parts)


def _felt(sentiment: Sentiment, said: Sequence[str]) -> str:
    return (
        f"Said: {said[-1]}" if said and sentiment != "neutral" else "Nothing that shows more than politeness."
    )


def _next(result: Result, *, escalation: bool, callback: bool, information: bool) -> str:
    if escalation:
        return "Have a responsible person answer the customer."
    if callback:
        return "Call back when the customer asked for it."
    if information:
        return "Send what the customer asked for, then ask for a decision."
    if result == "success":
        return "Do what was agreed; no further call is needed."
    return "Do not call about this again." if result == "failure" else "Ask for a decision in a few days."


def _quotes(*said: str | None) -> list[str]:
    return list(dict.fromkeys(one for one in said if one))
