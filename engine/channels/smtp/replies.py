"""What a mail server's reply means for a message: the classifier's verdict (engine.answers) as an outcome.

A code and a text are read by rules that are data; docs/answers.md is the table.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from engine.answers.meanings import Meaning, Phase
from engine.answers.reading import read_smtp
from engine.channels.port import Delivered, Outcome
from engine.channels.verdicts import outcome_of_verdict

if TYPE_CHECKING:
    from engine.answers.classify import Classifier

__all__ = ["CLOSING", "Reply", "outcome_of"]

#: The server ends the connection: too much, too fast, or going down.
CLOSING = 421
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
    text = reply.text
    answer = read_smtp(reply.code, text, _PHASES.get(stage))
    verdict = classifier.classify(answer)
    if verdict.meaning is Meaning.DELIVER and stage == "message":
        return Delivered(text)
    return outcome_of_verdict(verdict, answer, f"SMTP_{reply.code}", f"{text} (in reply to {stage})")
