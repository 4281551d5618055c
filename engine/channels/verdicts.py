"""What a classifier's verdict means for a message: the outcome that follows from it, whatever the protocol.

A rule that reads the provider's words or own code is certain. A default by the code is not always: what a mail server
refuses for now at one recipient, an API that answers 403 or 500, may be about everybody or about this message alone;
the outcome says so, and a wave as a whole shows which (engine.delivery.scoped_answers).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.answers.meanings import Meaning, Protocol, Scope
from engine.channels.port import (
    Deferred,
    Delivered,
    Down,
    Outcome,
    Rejected,
    SenderRefused,
    Throttled,
)

if TYPE_CHECKING:
    from engine.answers.meanings import ProviderAnswer
    from engine.answers.verdict import Verdict

__all__ = ["outcome_of_verdict"]

_TRANSIENT, _SERVER_ERROR = 4, 5


def outcome_of_verdict(
    verdict: Verdict, answer: ProviderAnswer, code: str, text: str, *, wait: float | None = None
) -> Outcome:
    """What follows from a verdict.

    Args:
        answer: What was classified.
        code: Of the outcome.
        text: For people.
        wait: Seconds that the provider named; None: none, and the rule's own count.
    """
    if wait is None and verdict.duration is not None:
        wait = verdict.duration.total_seconds()
    certain = verdict.rule.is_specific
    if answer.protocol is Protocol.HTTP:
        return _of_http(verdict, answer, code, text, wait, certain=certain)
    match verdict.meaning:
        case Meaning.DEFER if certain or verdict.rule.status is not None:
            return Deferred(code, text, wait, may_be_greylisting=True)
        case Meaning.DEFER:
            return Throttled(code, text, wait, Scope.MAILBOX, certain=False)
        case Meaning.REFUSE | Meaning.DELIVER if (answer.code or 0) // 100 == _TRANSIENT:
            return Deferred(code, text, wait, may_be_greylisting=True)
    return _alike(verdict, code, text, wait, certain=certain)


def _of_http(
    verdict: Verdict, answer: ProviderAnswer, code: str, text: str, wait: float | None, *, certain: bool
) -> Outcome:
    match verdict.meaning:
        case Meaning.DELIVER:
            return Delivered()
        case Meaning.DEFER:
            return Deferred(code, text, wait)
        case Meaning.DOWN if not certain and (answer.code or 0) // 100 == _SERVER_ERROR:
            return Deferred(code, text, wait, of_service=True)
        case Meaning.SENDER_FAULT if not certain:
            return Rejected(code, text, advice=verdict.advice)
    return _alike(verdict, code, text, wait, certain=certain)


def _alike(verdict: Verdict, code: str, text: str, wait: float | None, *, certain: bool) -> Outcome:
    """What means the same in every protocol."""
    match verdict.meaning:
        case Meaning.SLOW:
            whole = verdict.scope is Scope.CHANNEL
            return Throttled(code, text, wait, verdict.scope, certain=certain or whole)
        case Meaning.QUOTA:
            return Throttled(code, text, wait, verdict.scope, quota=True)
        case Meaning.SENDER_FAULT:
            trigger = verdict.rule.threshold
            return SenderRefused(code, text, verdict.advice or "", 1 if trigger is None else trigger.count)
        case Meaning.DOWN:
            return Down(code, text)
    return Rejected(code, text, verdict.bar_reason if verdict.bar else None)
