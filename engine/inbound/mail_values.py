"""What mail that comes back says, as values. Nothing here is trusted: it is what a message claims."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from engine.kernel.addresses import normalise_email

if TYPE_CHECKING:
    from engine.answers.meanings import ProviderAnswer

__all__ = ["InboundMail", "MailReport", "RecipientReport", "Traces", "addresses_in", "without_comments"]

_ADDRESS = re.compile(r"(?<![^\s<>,;:\"'()\[\]])[^\s<>,;:\"'()\[\]@]{1,64}@[A-Za-z0-9.\u0080-\uffff-]{1,255}")
_ADDRESSES = 100


@dataclass(frozen=True, slots=True)
class RecipientReport:
    """What a report says happened to one recipient."""

    kind: Literal["delivered", "delayed", "bounced", "complained", "unsubscribed"]
    addresses: tuple[str, ...] = ()
    """Whom it names, normalised: as it was sent to, and as it arrived elsewhere. Empty: nobody."""
    answer: ProviderAnswer | None = None
    """Of a delivery report or a bounce in prose: what the classifier is asked about."""
    reason: str | None = None
    """In the server's words."""
    complaint_type: str | None = None

    @property
    def status(self) -> str | None:
        """The enhanced status code of RFC 3463: `5.1.1`."""
        return None if self.answer is None else self.answer.status

    @property
    def is_permanent(self) -> bool:
        """Of a bounce: whether trying again does not help."""
        if self.answer is None:
            return True
        return (self.answer.status or str(self.answer.code or 5)).startswith("5")


@dataclass(frozen=True, slots=True)
class Traces:
    """What a message of ours carried and comes back with it."""

    message_ids: tuple[str, ...] = ()
    """The likeliest first, with angle brackets."""
    unsubscribe: tuple[str, ...] = ()
    """Addresses in its List-Unsubscribe header."""
    return_paths: tuple[str, ...] = ()
    """Where the report was sent to, which may be its return path."""


@dataclass(frozen=True, slots=True)
class MailReport:
    """A report about one message of ours."""

    kind: Literal["bounce", "complaint", "other"]
    recipients: tuple[RecipientReport, ...]
    traces: Traces


@dataclass(frozen=True, slots=True)
class InboundMail:
    """A message that came in."""

    kind: Literal["bounce", "complaint", "reply", "auto_reply", "other"]
    reports: list[MailReport] = field(default_factory=list)
    traces: Traces = field(default_factory=Traces)
    """Of the message itself: what it answers to."""
    subject: str = ""


def without_comments(text: str) -> str:
    """A field without its comments (RFC 5322 §3.2.2), however they nest; one that never ends goes to the end."""
    if "(" not in text:
        return text.strip()
    kept: list[str] = []
    depth = 0
    quoted = escaped = False
    for letter in text:
        if escaped:
            escaped = False
        elif letter == "\\":
            escaped = True
        elif letter == '"' and not depth:
            quoted = not quoted
        elif letter == "(" and not quoted:
            depth += 1
            continue
        elif letter == ")" and depth and not quoted:
            depth -= 1
            continue
        if not depth:
            kept.append(letter)
    return "".join(kept).strip()


def addresses_in(text: str) -> list[str]:
    """The e-mail addresses in a field or a line, normalised, in order, each once."""
    found = (normalise_email(one[0].rstrip(".")) for one in _ADDRESS.finditer(without_comments(text)))
    known = dict.fromkeys(address for address in found if address is not None)
    return list(known)[:_ADDRESSES]
