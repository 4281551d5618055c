"""What a conversation says, sign by sign: decisions, feelings, wishes. Deterministic; any text is read in linear time.

Each of the customer's turns is read with the words of the language it is in, so that a conversation may change its
language. A sign is a pattern of `engine.goals.lexicon` in one clause; a negation a few words before it turns it. Which
decision counts is not decided here: signs are in the order they were said in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from engine.goals.lexicon import LANGUAGES
from engine.goals.transcript import Turn, read_turns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from engine.goals.lexicon import Lexicon

__all__ = ["Decision", "Signals", "goal_words", "read_signals", "somebody_spoke"]

_WORD = re.compile(r"[\w']+")
_SENTENCE = re.compile(r"[^.!?;\n]+[.!?;]*")
_APOSTROPHES = str.maketrans("’‘`´", "''''")
#: Words before a sign in which a negation turns it.
_REACH = 4
_NEGATED = 3
#: Letters of a word that say what it is about.
_STEM = 4
_QUOTE = 300
#: A yes to a question that is about the goal, and one to any other offer.
_SURE, _LIKELY = 0.8, 0.65


@dataclass(frozen=True, slots=True)
class Decision:
    """Something that decides, or leaves open, what the campaign is for."""

    kind: Literal["accepted", "refused", "open"]
    weight: float
    """How clear it is, 0 to 1."""
    call: int
    quote: str


@dataclass(slots=True)
class Signals:
    """What was found. Quotes are in the order they were said in."""

    customer_turns: int = 0
    """Of people, not of machines."""
    machines: set[int] = field(default_factory=set)
    """Conversations in which nobody but a machine answered."""
    last_call: int = 0
    """The latest conversation that a person took part in."""
    goal_raised: str | None = None
    """How the agent asked first."""
    pending: str = ""
    """The agent's question about the goal that has no answer yet; empty: there is none."""
    mocked: set[int] = field(default_factory=set)
    """Conversations in which the customer praised what cannot be meant."""
    decisions: list[Decision] = field(default_factory=list)
    feelings: list[tuple[int, float, str]] = field(default_factory=list)
    """Conversation, weight (negative: displeased), and what was said."""
    callbacks: list[str] = field(default_factory=list)
    no_callbacks: list[str] = field(default_factory=list)
    escalations: list[str] = field(default_factory=list)
    information: list[str] = field(default_factory=list)
    promises: list[str] = field(default_factory=list)


def goal_words(goal: str) -> frozenset[str]:
    """Stems that say what a goal is about, with those that mean the same; empty when it says nothing."""
    words = [word for word in _WORD.findall(_plain(goal)) if len(word) >= _STEM]
    stems: set[str] = set()
    for lexicon in LANGUAGES:
        for word in words:
            if word not in lexicon.fillers and not any(word in other.fillers for other in LANGUAGES):
                stems.add(word[:_STEM] if len(word) <= _STEM + 2 else word[: _STEM + 2])
            for group in lexicon.goal_groups:
                if any(word.startswith(stem) for stem in group):
                    stems |= group
    return frozenset(stems)


def read_signals(turns: Sequence[Turn], goal: str) -> Signals:
    """Every sign in a conversation.

    Args:
        goal: What the campaign is for, in a person's words.
    """
    found = Signals()
    found.machines = _machines(turns)
    about = goal_words(goal)
    lexicon, asked, call = LANGUAGES[0], "", 0
    for turn in turns:
        text = _plain(turn.text)
        if turn.call != call:
            call, asked, found.pending = turn.call, "", ""
        lexicon = _language(text) or lexicon
        if turn.speaker == "agent":
            _agent(found, turn, text, lexicon, about)
            asked = text
        elif turn.call not in found.machines:
            found.customer_turns += 1
            found.last_call = turn.call
            _customer(found, turn, text, lexicon, asked, about)
            asked = ""  # who goes on speaking is not answering any more
    return found


def somebody_spoke(conversation: str) -> bool:
    """Whether a person, and not a machine alone, said anything."""
    turns = read_turns(conversation)
    machines = _machines(turns)
    return any(turn.speaker == "customer" and turn.call not in machines for turn in turns)


def _machines(turns: Sequence[Turn]) -> set[int]:
    """Conversations in which the customer's first turns are a machine's, and nothing else is said."""
    heard: dict[int, list[bool]] = {}
    for turn in turns:
        if turn.speaker == "customer":
            text = _plain(turn.text)
            machine = any(lexicon.voicemail.search(text) for lexicon in LANGUAGES)
            heard.setdefault(turn.call, []).append(machine)
    return {call for call, said in heard.items() if said[0] and sum(said) * 2 >= len(said)}


def _agent(found: Signals, turn: Turn, text: str, lexicon: Lexicon, about: frozenset[str]) -> None:
    if turn.call in found.machines:
        return
    for sentence, shown in _sentences(text, turn.text):
        if "?" in sentence and _asks(sentence, lexicon, about):
            found.goal_raised = found.goal_raised or shown
            found.pending = sentence
        confirmed = lexicon.confirmed.search(sentence)
        if confirmed and "?" not in sentence and not _turned(sentence, confirmed.start(), lexicon.negators):
            found.decisions.append(Decision("accepted", 0.9, turn.call, shown))
        elif lexicon.promise.search(sentence) and "?" not in sentence:
            found.promises.append(shown)


def _customer(
    found: Signals, turn: Turn, text: str, lexicon: Lexicon, asked: str, about: frozenset[str]
) -> None:
    sentences = list(_sentences(text, turn.text))
    mocking = _mocks([said for said, _ in sentences], lexicon)
    answer = None if mocking else _answer(text, lexicon, asked, about)
    if answer is None and "?" not in asked and found.pending and lexicon.deny.match(text):
        answer = "refused", _LIKELY  # to what was asked before; a yes may only mean that somebody listens
    signs: list[tuple[int, Decision]] = []
    if answer is not None:
        found.pending = ""
        signs.append((0, Decision(answer[0], answer[1], turn.call, turn.text[:_QUOTE])))
    signs += _stated(turn, text, lexicon)
    # Of what is said in one breath the last word counts, and a clear word more than a yes at the beginning.
    found.decisions += [decision for _, decision in sorted(signs, key=lambda sign: sign[0])]
    _wishes(found, text, turn, lexicon, asked)
    if mocking:
        found.mocked.add(turn.call)
    for sentence, shown in sentences:
        weight = _feeling(lexicon.hedge.sub(" ", sentence), lexicon)
        if weight > 0 and (mocking or turn.call in found.mocked):
            weight = -weight if mocking else 0.0
        if weight:
            found.feelings.append((turn.call, weight, shown))


def _mocks(sentences: Sequence[str], lexicon: Lexicon) -> bool:
    """Whether praise in what somebody says is none: it stands beside a grievance, or is never meant."""
    for number, sentence in enumerate(sentences):
        if lexicon.sarcasm.search(sentence):
            return True
        beside = " ".join(sentences[number : number + 2])
        if lexicon.praise.search(sentence) and lexicon.grievance.search(beside):
            return True
    return False


def _answer(
    text: str, lexicon: Lexicon, asked: str, about: frozenset[str]
) -> tuple[Literal["accepted", "refused"], float] | None:
    """What a yes or a no at the beginning says about the goal: something only if that was the question."""
    question = _last_question(asked)
    if not question or lexicon.smalltalk.search(question) or lexicon.offer_callback.search(question):
        return None
    if not _asks(question, lexicon, about):
        return None
    weight = _SURE if _touches(question, about) else _LIKELY
    if lexicon.affirm.match(text):
        return "accepted", weight
    return ("refused", weight) if lexicon.deny.match(text) else None


def _stated(turn: Turn, text: str, lexicon: Lexicon) -> Iterator[tuple[int, Decision]]:
    """Decisions that stand by themselves. Inside a refusal nothing is accepted: `I don't want to book`."""
    refused = list(lexicon.refuse.finditer(text))
    shown = turn.text[:_QUOTE]
    for match in refused:
        yield match.end(), Decision("refused", 0.9, turn.call, shown)
    for match in lexicon.accept.finditer(text):
        inside = any(one.start() <= match.end() and match.start() <= one.end() for one in refused)
        asks = "?" in text[match.end() :].partition(".")[0]
        if not inside and not asks and not _turned(text, match.start(), lexicon.negators):
            yield match.end(), Decision("accepted", 0.85, turn.call, shown)
    for match in lexicon.hedge.finditer(text):
        if not _turned(text, match.start(), lexicon.negators):
            yield match.end(), Decision("open", 0.6, turn.call, shown)


def _wishes(found: Signals, text: str, turn: Turn, lexicon: Lexicon, asked: str) -> None:
    shown = turn.text[:_QUOTE]
    for match in lexicon.callback.finditer(text):
        turned = _turned(text, match.start(), (), lexicon.against_calling)
        (found.no_callbacks if turned else found.callbacks).append(shown)
    question = _last_question(asked)
    if question and lexicon.offer_callback.search(question):
        if lexicon.affirm.match(text):
            found.callbacks.append(shown)
        elif lexicon.deny.match(text):
            found.no_callbacks.append(shown)
    for match in lexicon.escalation.finditer(text):
        if not _turned(text, match.start(), (), lexicon.against_escalating):
            found.escalations.append(shown)
    for match in lexicon.wants_information.finditer(text):
        if not _turned(text, match.start(), lexicon.negators):
            found.information.append(shown)


def _feeling(sentence: str, lexicon: Lexicon) -> float:
    """The weight of one sentence; a negation turns a word, and weakens it."""
    total = -0.5 if lexicon.grievance.search(sentence) else 0.0
    total -= 1.5 if lexicon.sarcasm.search(sentence) else 0.0
    words = _WORD.findall(sentence)
    for number, word in enumerate(words):
        weight = _weight(word, lexicon.positive) or -_weight(word, lexicon.negative)
        if weight and any(before in lexicon.negators for before in words[max(0, number - _NEGATED) : number]):
            weight *= -0.6
        total += weight
    return total


def _weight(word: str, weights: dict[str, float]) -> float:
    if word in weights:
        return weights[word]
    for length in range(len(word), 2, -1):
        if (known := weights.get(word[:length] + "*")) is not None:
            return known
    return 0.0


def _asks(question: str, lexicon: Lexicon, about: frozenset[str]) -> bool:
    """Whether it asks for a decision about the goal, or for one at all."""
    if lexicon.smalltalk.search(question):
        return False
    return _touches(question, about) or lexicon.proposal.search(question) is not None


def _touches(text: str, about: frozenset[str]) -> bool:
    return any(word.startswith(stem) for word in _WORD.findall(text) for stem in about)


def _last_question(text: str) -> str:
    """The last sentence that asks."""
    return next((one for one, _ in reversed(list(_sentences(text, text))) if "?" in one), "")


def _turned(text: str, at: int, negators: Iterable[str], pattern: re.Pattern[str] | None = None) -> bool:
    """Whether a negation stands a few words before `at`, in the same clause."""
    before = re.split(r"[.!?;,]", text[max(0, at - 60) : at])[-1]
    words = _WORD.findall(before)[-_REACH:]
    if pattern is not None:
        return pattern.search(" ".join(words)) is not None
    return any(word in negators for word in words)


def _language(text: str) -> Lexicon | None:
    """The language that most of the words are of; None: too little is said to tell."""
    words = _WORD.findall(text)
    counts = [(sum(word in lexicon.common for word in words), lexicon) for lexicon in LANGUAGES]
    best = max(counts, key=lambda count: count[0])
    others = [count for count, lexicon in counts if lexicon is not best[1]]
    return best[1] if best[0] > max(others) else None


def _sentences(text: str, shown: str) -> Iterator[tuple[str, str]]:
    """Each sentence as it is read, and as it was said."""
    for match in _SENTENCE.finditer(text):
        if match[0].strip():
            yield match[0].strip(), shown[match.start() : match.end()].strip()[:_QUOTE]


def _plain(text: str) -> str:
    """Lower case with straight apostrophes; as many characters as before, so that places agree."""
    lowered = text.translate(_APOSTROPHES).lower()
    return lowered if len(lowered) == len(text) else "".join(char.lower()[:1] for char in text)
