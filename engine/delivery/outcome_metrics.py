"""Counts outcomes of messages for `/metrics`: `muster_outcomes_total` by kind of channel, outcome, code and scope."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.answers.meanings import Scope
from engine.channels.port import (
    Deferred,
    Delivered,
    Doubtful,
    Down,
    Rejected,
    Released,
    SenderRefused,
    Throttled,
)
from engine.kernel import metrics

if TYPE_CHECKING:
    from engine.channels.port import Outcome

__all__ = ["count", "count_delivered"]

_OUTCOMES = metrics.OUTCOMES.counter()
_CODES = metrics.BoundedLabel()
_NAMES: dict[type[Outcome], str] = {
    Delivered: "delivered",
    Rejected: "rejected",
    Deferred: "deferred",
    Throttled: "throttled",
    SenderRefused: "sender_refused",
    Down: "down",
    Doubtful: "doubtful",
}
#: Of outcomes that do not name it.
_SCOPES: dict[type[Outcome], Scope] = {SenderRefused: Scope.SENDER, Down: Scope.CHANNEL}


def count_delivered(kind: str, messages: int) -> None:
    """Count messages that a channel of `kind` delivered."""
    if messages:
        _OUTCOMES.labels(kind, _NAMES[Delivered], "", Scope.MAILBOX).inc(messages)


def count(kind: str, outcome: Outcome) -> None:
    """Count one other outcome. A message that was never started has none."""
    if isinstance(outcome, Delivered | Released):
        return
    scope = outcome.scope if isinstance(outcome, Throttled) else _SCOPES.get(type(outcome), Scope.MAILBOX)
    _OUTCOMES.labels(kind, _NAMES[type(outcome)], _CODES.of(outcome.code), scope).inc()
