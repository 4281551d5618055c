"""What the classifier says of an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import timedelta

    from engine.answers.meanings import Meaning, Scope
    from engine.answers.rules import Rule

__all__ = ["Verdict"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an answer is about, what it means, and which rule says so."""

    scope: Scope
    meaning: Meaning
    rule: Rule
    bar: bool = False
    """The address must not be used again: nobody is there, or it opted out."""
    bar_reason: str = "hard_bounce"
    """In the words of the suppression list."""
    duration: timedelta | None = None
    """How long whatever the scope names waits at first; absent: the meaning's own back-off."""
    advice: str | None = None
    """What a person has to mend."""
