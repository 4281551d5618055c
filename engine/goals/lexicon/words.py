"""What a language has: plain lists, and patterns over text in lower case with straight apostrophes."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Lexicon", "either", "weighed"]


def either(*patterns: str) -> re.Pattern[str]:
    """Any of the patterns, as whole words."""
    return re.compile(rf"(?<!\w)(?:{'|'.join(patterns)})(?!\w)")


def weighed(words: dict[float, str]) -> dict[str, float]:
    """Words by weight, as weights by word."""
    return {word: weight for weight, listed in words.items() for word in listed.split()}


@dataclass(frozen=True)
class Lexicon:
    """One language. A word that ends in `*` stands for all that begin with it."""

    common: frozenset[str]
    """Words that show that somebody speaks this language."""
    fillers: frozenset[str]
    """Words of a goal that say nothing about what it is."""
    goal_groups: tuple[frozenset[str], ...]
    """Stems that mean the same as one another in a goal."""

    positive: dict[str, float]
    negative: dict[str, float]
    """Word → weight."""
    negators: frozenset[str]
    """They turn what comes within three words."""
    sarcasm: re.Pattern[str]
    """Praise that is none, whatever stands beside it."""
    praise: re.Pattern[str]
    """Praise that is none where `grievance` stands in the same sentence or the one after it."""
    grievance: re.Pattern[str]

    accept: re.Pattern[str]
    """A decision for it, without being asked."""
    affirm: re.Pattern[str]
    """Yes: the beginning of an answer."""
    refuse: re.Pattern[str]
    """A decision against it."""
    deny: re.Pattern[str]
    """No: the beginning of an answer."""
    hedge: re.Pattern[str]
    """No decision."""
    proposal: re.Pattern[str]
    """How an agent asks for a decision."""
    smalltalk: re.Pattern[str]
    """Questions whose answer decides nothing."""
    confirmed: re.Pattern[str]
    """How an agent says that it is done."""

    callback: re.Pattern[str]
    """A customer asks to be called again."""
    offer_callback: re.Pattern[str]
    """An agent asks whether to call again."""
    against_calling: re.Pattern[str]
    """Turns a call-back that follows within a few words."""
    escalation: re.Pattern[str]
    against_escalating: re.Pattern[str]
    """Turns what follows within a few words."""
    wants_information: re.Pattern[str]
    """A customer asks for something to be sent or found out."""
    promise: re.Pattern[str]
    """An agent promises to do something after the call."""
    voicemail: re.Pattern[str]
    """What machines say."""
