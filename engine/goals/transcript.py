"""Conversations as text: how they are written down, put after one another, and read back into turns.

A conversation is lines of `Agent: …` and `Customer: …`. What somebody said is always one line, so that nobody can say
a line of somebody else's. Read back are also the labels of other systems (`User:`, `Assistant:`, `Kunde:` …), with
times in front (`[00:12]`). Lines without a label go on with the turn before them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["LONGEST", "Turn", "format_conversation", "join_conversations", "read_turns"]

#: Characters of all conversations of one target that are judged, the latest; some four hours of talk.
LONGEST = 200_000
#: Characters of one conversation that are kept.
_LONGEST_KEPT = 100_000
_CUT = "[…]"

_AGENT = (
    "agent|assistant|ai|bot|rep|representative|advisor|adviser|mitarbeiter|mitarbeiterin|berater|beraterin"
)
_CUSTOMER = "customer|user|client|caller|contact|lead|prospect|human|kunde|kundin|anrufer|anruferin|nutzer"
_LABEL = re.compile(
    rf"^\s*(?:[\[(]?\d{{1,2}}:\d\d(?::\d\d)?[\])]?\s*)?(?:(?P<agent>{_AGENT})|(?P<customer>{_CUSTOMER}))"
    r"\s*(?:\([^)]{0,60}\))?\s*:\s*(?P<text>.*)$",
    re.IGNORECASE,
)
_HEAD = re.compile(r"^=== .* ===$")


@dataclass(frozen=True, slots=True)
class Turn:
    """What one of the two said before the other did."""

    speaker: Literal["agent", "customer"]
    text: str
    call: int
    """Which conversation, from 0."""


def format_conversation(turns: Iterable[tuple[str, Any]]) -> str:
    """Lines of `Agent: …` and `Customer: …`.

    Args:
        turns: Role (`agent`; all else is the customer) and what was said; what is no text, or empty, is left out.
    """
    lines = []
    for role, said in turns:
        text = " ".join(said.replace("\0", " ").split()) if isinstance(said, str) else ""
        if text:
            lines.append(f"{'Agent' if role == 'agent' else 'Customer'}: {text}")
    whole = "\n".join(lines).encode(errors="replace").decode()
    return whole if len(whole) <= _LONGEST_KEPT else whole[: _LONGEST_KEPT - len(_CUT)] + _CUT


def join_conversations(conversations: Sequence[tuple[str, str]], *, longest: int = LONGEST) -> str:
    """One text of several conversations, oldest first, each under a line that says which it is.

    Args:
        conversations: When it was, as text, and the conversation.
        longest: Characters; of what is longer the earliest lines are left out, because the latest word counts.
    """
    count = len(conversations)
    whole = "\n\n".join(
        f"=== Call {number} of {count}, {when} ===\n{_without_heads(text)}"
        for number, (when, text) in enumerate(conversations, 1)
    )
    if len(whole) <= longest:
        return whole
    # From the next line on: half a line would be nobody's.
    return whole[-longest:].partition("\n")[2]


def read_turns(text: str) -> list[Turn]:
    """The turns of one or several conversations, in order. Text without any label is the customer's."""
    turns: list[Turn] = []
    call = -1
    for line in text.splitlines():
        if _HEAD.match(line):
            call += 1
            continue
        found = _LABEL.match(line)
        said = (found["text"] if found is not None else line).strip()
        if not said:
            continue
        number = max(call, 0)
        if found is None and turns and turns[-1].call == number:
            last = turns.pop()
            turns.append(Turn(last.speaker, f"{last.text} {said}", number))
        else:
            agent = found is not None and found["agent"] is not None
            turns.append(Turn("agent" if agent else "customer", said, number))
    return turns


def _without_heads(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not _HEAD.match(line.strip()))
