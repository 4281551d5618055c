"""What an outcome means for its recipient: one decision, no database.

The rules of design.md §4.5: permanent errors fail at once; transient ones wait, up to the channel's attempts; being
throttled, released or met by a provider that is down costs nobody an attempt; doubt follows the channel's policy.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from engine.channels.port import Deferred, Delivered, Doubtful, Down, Outcome, Rejected, Released, Throttled
from engine.delivery.backoff import retry_delay
from state.transitions import AutomationStatus

__all__ = ["OUTCOME_UNKNOWN", "Policy", "Settlement", "decide"]

#: The error code of a recipient of whom nobody can say whether the message arrived.
OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"

_TEXT_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class Policy:
    """What a channel's row says about trying again."""

    doubt: str
    max_attempts: int
    retry_base: timedelta


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


def decide(
    entity_id: UUID, attempt: int, outcome: Outcome, policy: Policy, *, now: datetime, jitter: float
) -> Settlement:
    """The settlement of `outcome`, which attempt number `attempt` (1, 2, …) had."""
    match outcome:
        case Delivered():
            return Settlement(entity_id, AutomationStatus.SUCCESS)
        case Rejected(code, text):
            return _failed(entity_id, code, text)
        case Released():
            return Settlement(entity_id, AutomationStatus.PENDING, refund=True)
        case Throttled(code, text) | Down(code, text):
            return Settlement(entity_id, AutomationStatus.PENDING, code, text[:_TEXT_LIMIT], refund=True)
        case Doubtful(code, text) if policy.doubt == "hold":
            return _failed(entity_id, OUTCOME_UNKNOWN, f"{code}: {text}")
        case Doubtful(_, text) if attempt >= policy.max_attempts:
            return _failed(entity_id, OUTCOME_UNKNOWN, text)
        case Deferred(code, text) if attempt >= policy.max_attempts:
            return _failed(entity_id, code, text)
        case Deferred(code, text) | Doubtful(code, text):
            delay = retry_delay(attempt, base=policy.retry_base, jitter=jitter)
            if isinstance(outcome, Deferred) and outcome.retry_after is not None:
                delay = max(delay, timedelta(seconds=outcome.retry_after))
            return Settlement(entity_id, AutomationStatus.PENDING, code, text[:_TEXT_LIMIT], now + delay)


def _failed(entity_id: UUID, code: str, text: str) -> Settlement:
    return Settlement(entity_id, AutomationStatus.FAILED, code, text[:_TEXT_LIMIT])
