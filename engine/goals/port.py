"""What is asked of an analyser, whatever it is: a campaign's goal and a target's conversations in, an `Analysis` out.

An analyser reads text and returns values. It is given no id, no session and no address, so that nothing that stands in
a transcript can name another row, and every value it returns is bounded and checked here before anybody writes it.

| what happens | raised |
|---|---|
| the analyser cannot be reached, is too slow, or asks to wait | `AnalysisFailed`, transient |
| it answers, and the answer is no analysis (a refusal, no JSON, another shape) | `AnalysisFailed`, for good |
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

from pydantic import BeforeValidator, ConfigDict, Field

from config.errors import MusterError
from engine.kernel.inputs import Input

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Analyser",
    "Analysis",
    "AnalysisFailed",
    "GoalAnalysis",
    "Question",
    "Result",
    "Sentiment",
    "Usage",
    "Verdict",
]

_SHORT, _LONG, _SUMMARY, _MOST = 120, 600, 2000, 10


def _cut(longest: int) -> BeforeValidator:
    """What is too long loses its end: an analysis is not thrown away for a wordy reason."""

    def cut(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        text = " ".join(value.replace("\0", " ").split())
        return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"

    return BeforeValidator(cut)


def _fewer(value: Any) -> Any:
    return value[:_MOST] if isinstance(value, list) else value


Result = Literal["success", "failure", "unknown"]
Sentiment = Literal["positive", "negative", "neutral", "unknown"]
Short = Annotated[str, _cut(_SHORT), Field(max_length=_SHORT)]
Reason = Annotated[str, _cut(_LONG), Field(min_length=1, max_length=_LONG)]
Summary = Annotated[str, _cut(_SUMMARY), Field(min_length=1, max_length=_SUMMARY)]
Quotes = Annotated[
    list[Annotated[str, _cut(_LONG), Field(max_length=_LONG)]],
    BeforeValidator(_fewer),
    Field(max_length=_MOST),
]
Score = Annotated[float, Field(ge=0, le=1)]


class GoalAnalysis(Input):
    """What the result rests on."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    evidence: Quotes
    """What was said that decides it, in the speakers' words."""
    objections: Quotes
    """What the customer said against it."""
    next_steps: Quotes
    """What was promised or asked for."""


class Analysis(Input):
    """Every analysis field of a target (docs/contract/enrolled-targets.md), bounded. Scores are 0 to 1."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    goal_analysis: GoalAnalysis
    ai_label: Sentiment
    """The target as a whole: positive, negative, neutral; unknown when nobody was spoken to."""
    ai_score: Score
    """How promising it is."""
    ai_reason: Reason
    call_successful: Result
    """Whether a conversation came about."""
    call_summary_title: Annotated[Short, Field(min_length=1)]
    transcript_summary: Summary
    agent_goal_result: Result
    """Whether the agent did its part: brought the goal up and got an answer to it."""
    agent_goal_rationale: Reason
    customer_sentiment: Sentiment
    """Of the latest conversation."""
    customer_sentiment_rationale: Reason
    follow_up_required: bool
    follow_up_required_rationale: Reason
    escalation_required: bool
    escalation_required_rationale: Reason
    campaign_goal_result: Result
    """Whether the customer did, or agreed to, what the campaign is for; success and failure are decisions."""
    campaign_goal_score: Score
    campaign_goal_rationale: Reason
    campaign_sentiment: Sentiment
    """Over all conversations."""
    campaign_sentiment_rationale: Reason
    callback_requested: bool
    """Whether the customer wants to be called again."""
    callback_requested_rationale: Reason
    campaign_next_best_action: Reason


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be judged."""

    goal: str
    """What the campaign is for; empty when nobody said."""
    conversation: str = field(repr=False)
    """The conversations, oldest first, as `engine.goals.transcript` writes them."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What an analysis cost. All zero for an analyser that costs nothing."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    """In the currency of the configured prices."""

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cost + other.cost,
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """An analysis, and what made it."""

    analysis: Analysis
    source: str
    """Kind and version or model, at most 150 characters: `rules/1`, `openai/gpt-x`."""
    usage: Usage = Usage()


class AnalysisFailed(MusterError):
    """There is no analysis, and nothing was written."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        transient: bool,
        retry_after: float | None = None,
        usage: Usage = Usage(),
    ) -> None:
        super().__init__(message)
        self.code = code
        """A stable id in capitals: `ANALYSER_TIMEOUT`."""
        self.transient = transient
        """Whether the same question may be answered later."""
        self.retry_after = retry_after
        """Seconds, when the analyser named them."""
        self.usage = usage
        """What the failed attempts cost."""

    def log_fields(self) -> Mapping[str, Any]:
        """For a log."""
        return {"code": self.code, "reason": str(self), "transient": self.transient, "cost": self.usage.cost}


class Analyser(Protocol):
    """A way to judge conversations. One instance serves one event loop."""

    async def analyse(self, question: Question) -> Verdict:
        """Judge.

        Raises:
            AnalysisFailed: see the module.
        """
        ...

    async def close(self) -> None:
        """Give back connections. Safe to call twice."""
        ...
