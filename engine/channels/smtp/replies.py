"""What a mail server's reply means for a message: the classifier's verdict (engine.answers) as an outcome.

A code and a text are read by rules that are data; docs/answers.md is the table.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from engine.answers.meanings import Meaning, Phase, Scope
from engine.answers.reading import read_smtp
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
    from engine.answers.classify import Classifier
    from engine.answers.meanings import Verdict

__all__ = ["CLOSING", "Reply", "outcome_of", "outcome_of_verdict"]

#: The server ends the connection: too much, too fast, or going down.
CLOSING = 421
_TRANSIENT = 4
_TEXT_LIMIT = 500
_UNFIT = re.compile(r"[^ -~]+")
_PHASES = {
    "connect": Phase.CONNECT,
    "AUTH": Phase.AUTH,
    "MAIL": Phase.MAIL,
    "RCPT": Phase.RCPT,
    "DATA": Phase.DATA,
    "content": Phase.END,
    "message": Phase.END,
}


class Reply(NamedTuple):
    """A server's answer."""

    code: int
    raw: bytes

    @property
    def text(self) -> str:
        """The words, as one line of printable ASCII."""
        return _UNFIT.sub(" ", self.raw.decode("ascii", "replace"))[:_TEXT_LIMIT].strip()


def outcome_of(reply: Reply, stage: str, classifier: Classifier) -> Outcome:
    """The outcome of a message whose delivery ended with `reply` to `stage` (MAIL, RCPT, DATA, content or message)."""
    verdict = classifier.classify(read_smtp(reply.code, reply.text, _PHASES.get(stage)))
    if verdict.meaning is Meaning.DELIVER and stage == "message":
        return Delivered(reply.text)
    return outcome_of_verdict(
        verdict, f"SMTP_{reply.code}", f"{reply.text} (in reply to {stage})", reply.code
    )


def outcome_of_verdict(verdict: Verdict, code: str, text: str, reply: int) -> Outcome:
    """What follows from a verdict.

    Args:
        code: Of the outcome.
        reply: The reply's code.
    """
    certain, lasts = verdict.rule.is_specific, verdict.duration
    seconds = None if lasts is None else lasts.total_seconds()
    match verdict.meaning:
        case Meaning.SLOW:
            return Throttled(code, text, seconds, verdict.scope, certain=certain)
        case Meaning.QUOTA:
            return Throttled(code, text, seconds, verdict.scope, quota=True)
        case Meaning.SENDER_FAULT:
            trigger = verdict.rule.threshold
            return SenderRefused(code, text, verdict.advice or "", 1 if trigger is None else trigger.count)
        case Meaning.DOWN:
            return Down(code, text)
        case Meaning.DEFER if certain or verdict.rule.status is not None:
            return Deferred(code, text, seconds, may_be_greylisting=True)
        case Meaning.DEFER:
            return Throttled(code, text, seconds, Scope.MAILBOX, certain=False)
        case _ if reply // 100 == _TRANSIENT:
            return Deferred(code, text, seconds, may_be_greylisting=True)
    return Rejected(code, text, verdict.bar_reason if verdict.bar else None)
