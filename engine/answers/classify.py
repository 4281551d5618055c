"""The classifier: an answer in, its verdict out. No clock, no network, no state."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from engine.answers.meanings import Meaning, ProviderAnswer, Scope
from engine.answers.rules import InvalidRules, Rule, operators_rules, shipped_rules
from engine.answers.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["Classifier", "Explanation", "classifier_of"]

#: What is known of an answer that no rule names.
_UNKNOWN = Rule(
    name="unknown",
    source="RFC 5321 §4.2.1: a client decides by the first digit, and tries again where it does not know it",
    text=".",
    scope=Scope.MAILBOX,
    meaning=Meaning.DEFER,
)
_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an answer is classified as it is."""

    answer: ProviderAnswer
    verdict: Verdict
    others: tuple[Rule, ...]
    """Rules that match as well and come later."""


class Classifier:
    """Rules in the order in which they are tried."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)
        self._known: dict[ProviderAnswer, Verdict] = {}
        self._by_codes: dict[tuple[object, ...], list[Rule]] = {}

    def classify(self, answer: ProviderAnswer) -> Verdict:
        """What an answer is about and what it means: the first rule that matches decides."""
        known = self._known.get(answer)
        if known is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            known = self._known[answer] = _verdict(next(self._matching(answer), _UNKNOWN))
        return known

    def explain(self, answer: ProviderAnswer) -> Explanation:
        """The verdict, and which rules it was not left to."""
        _, *others = [*self._matching(answer)] or [_UNKNOWN]
        return Explanation(answer, self.classify(answer), tuple(others))

    def _matching(self, answer: ProviderAnswer) -> Iterator[Rule]:
        return (rule for rule in self._of_codes(answer) if rule.matches_text(answer.text))

    def _of_codes(self, answer: ProviderAnswer) -> list[Rule]:
        """The rules that only the words can rule out. Remembered: nearly every answer is one of a few codes, while its
        words hold a queue id that comes once.
        """
        codes = (answer.protocol, answer.phase, answer.code, answer.status, answer.provider, answer.error)
        found = self._by_codes.get(codes)
        if found is None:
            if len(self._by_codes) >= _REMEMBERED:
                self._by_codes.clear()
            found = self._by_codes[codes] = [rule for rule in self.rules if rule.matches_codes(answer)]
        return found


def _verdict(rule: Rule) -> Verdict:
    return Verdict(
        rule.scope,
        rule.meaning,
        rule,
        bar=rule.bar,
        bar_reason=rule.bar_reason,
        duration=rule.lasts,
        advice=rule.advice,
    )


@lru_cache(maxsize=8)
def classifier_of(path: Path | None = None) -> Classifier:
    """The classifier of a process: an operator's rules, then those that ship with Muster.

    Args:
        path: The operator's file (`MUSTER_ANSWER_RULES`); None: there is none.

    Raises:
        InvalidRules: the file cannot be used; names the rule and the field.
    """
    own = [] if path is None else operators_rules(path)
    names = {rule.name for rule in own}
    if _UNKNOWN.name in names:
        raise InvalidRules(f"{path}: rule {_UNKNOWN.name!r}: is the name of what no rule names")
    return Classifier([*own, *(rule for rule in shipped_rules() if rule.name not in names)])
