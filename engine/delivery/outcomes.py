"""What an outcome means for its recipient: one decision, no database.

The rules of docs/architecture.md: permanent errors fail at once; transient ones wait, up to the channel's attempts;
being
throttled, released, refused for the sender's sake or met by a provider that is down costs nobody an attempt; doubt
follows the channel's policy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from engine.channels.port import (
    Deferred,
    Delivered,
    Doubtful,
    Down,
    Outcome,
    Rejected,
    Released,
    SenderRefused,
    Throttled,
)
from engine.delivery.backoff import retry_delay, spread_delay
from state.transitions import AutomationStatus

if TYPE_CHECKING:
    from uuid import UUID

__all__ = ["OUTCOME_UNKNOWN", "Policy", "Settlement", "decide", "held", "policy_of"]

#: The error code of a recipient of whom nobody can say whether the message arrived.
OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"

_TEXT_LIMIT = 1000


def held(policy: Policy) -> Policy:
    """The same, but doubt is left to a person: who may have been reached over one channel is written to over no
    other.
    """
    return replace(policy, doubt="hold")


class _RetryTerms(Protocol):
    """The columns of a channel that say how it tries again."""

    @property
    def doubt_policy(self) -> str: ...
    @property
    def max_attempts(self) -> int: ...
    @property
    def retry_base_seconds(self) -> float: ...
    @property
    def retry_span_seconds(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Policy:
    """What a channel's row says about trying again."""

    doubt: str
    max_attempts: int
    retry_base: timedelta
    retry_span: timedelta
    """What the waits after transient refusals of mail cover together, at least."""


def policy_of(channel: _RetryTerms) -> Policy:
    """The policy that a channel's row, or what was read of it, holds."""
    return Policy(
        channel.doubt_policy,
        channel.max_attempts,
        timedelta(seconds=channel.retry_base_seconds),
        timedelta(seconds=channel.retry_span_seconds),
    )


@dataclass(frozen=True, slots=True)
class Settlement:
    """What is written about one recipient."""

    entity_id: UUID
    status: AutomationStatus
    error_code: str | None = None
    error_text: str | None = None
    due_at: datetime | None = None
    refund: bool = False
    """The attempt that was counted at claim is given back."""
    answered: bool = False
    """An attempt was made that is made again: what was answered is kept (engine.delivery.earlier_attempts)."""


def decide(
    entity_id: UUID,
    attempt: int,
    outcome: Outcome,
    policy: Policy,
    *,
    maybe_delivered: bool = False,
    now: datetime,
    jitter: float,
) -> Settlement:
    """The settlement of `outcome`, which attempt number `attempt` (1, 2, …) had.

    Args:
        maybe_delivered: An earlier attempt of the same execution may have arrived. Only a success ends that doubt;
            whatever else follows is recorded as OUTCOME_UNKNOWN, with what was said last.
    """
    settlement = _decide(entity_id, attempt, outcome, policy, now, jitter)
    if not maybe_delivered or settlement.status == AutomationStatus.SUCCESS:
        return settlement
    last = f"; then {settlement.error_code}: {settlement.error_text}" if settlement.error_code else ""
    if settlement.error_code == OUTCOME_UNKNOWN:
        last = f"; then {settlement.error_text}"
    return replace(
        settlement, error_code=OUTCOME_UNKNOWN, error_text=f"an earlier attempt may have arrived{last}"
    )


def _decide(
    entity_id: UUID, attempt: int, outcome: Outcome, policy: Policy, now: datetime, jitter: float
) -> Settlement:
    match outcome:
        case Delivered():
            return Settlement(entity_id, AutomationStatus.SUCCESS)
        case Rejected(code, text):
            return _failed(entity_id, code, text)
        case Released():
            return Settlement(entity_id, AutomationStatus.PENDING, refund=True)
        case Throttled(code, text) | SenderRefused(code, text) | Down(code, text):
            return Settlement(
                entity_id, AutomationStatus.PENDING, code, text[:_TEXT_LIMIT], refund=True, answered=True
            )
        case Doubtful(code, text) if policy.doubt == "hold" or attempt >= policy.max_attempts:
            return _failed(entity_id, OUTCOME_UNKNOWN, f"{code}: {text}")
        case Deferred(code, text) if attempt >= policy.max_attempts:
            return _failed(entity_id, code, text)
        case Doubtful(code, text):
            due_at = now + retry_delay(attempt, base=policy.retry_base, jitter=jitter)
            return _waiting(entity_id, OUTCOME_UNKNOWN, f"{code}: {text}", due_at)
        case Deferred(code, text):
            return _waiting(entity_id, code, text, now + _deferral(outcome, attempt, policy, jitter))


def _deferral(outcome: Deferred, attempt: int, policy: Policy, jitter: float) -> timedelta:
    """The back-off, or what the provider named, or what greylisting may need: the longest."""
    delay = retry_delay(attempt, base=policy.retry_base, jitter=jitter)
    if outcome.may_be_greylisting:
        delay = max(delay, spread_delay(attempt, policy.max_attempts, policy.retry_span, jitter=jitter))
    if outcome.retry_after is not None:
        delay = max(delay, timedelta(seconds=outcome.retry_after))
    return delay


def _waiting(entity_id: UUID, code: str, text: str, due_at: datetime) -> Settlement:
    return Settlement(entity_id, AutomationStatus.PENDING, code, text[:_TEXT_LIMIT], due_at, answered=True)


def _failed(entity_id: UUID, code: str, text: str) -> Settlement:
    return Settlement(entity_id, AutomationStatus.FAILED, code, text[:_TEXT_LIMIT])
