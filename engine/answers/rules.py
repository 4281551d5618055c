"""Rules as data: read from TOML, checked when they are read.

    [[rule]]
    name = "ses-rate"                              # unique; a rule of the operator's with the same name replaces it
    source = "https://docs.aws.amazon.com/…"       # who says so: an RFC's section or a provider's page
    text = "maximum sending rate exceeded"         # a pattern within the text, in any case of letters
    scope = "channel"
    meaning = "slow"
    examples = ["454 Throttling failure: Maximum sending rate exceeded"]

Every pattern that a rule has must match; the first rule that matches decides. The operator's files come before the
rules that ship with Muster, and within a file the order counts.
"""

from __future__ import annotations

import re
import tomllib
from datetime import timedelta
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from config.errors import MusterError
from engine.answers.meanings import Meaning, Phase, Protocol, ProviderAnswer, Scope

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "SHIPPED",
    "InvalidRules",
    "Rule",
    "Trigger",
    "operators_rules",
    "read_rules",
    "read_shipped",
    "shipped_rules",
]

#: The files that ship with Muster, in the order in which their rules are tried.
SHIPPED = (
    "recipients.toml",
    "providers.toml",
    "senders.toml",
    "mailboxes.toml",
    "apis.toml",
    "reports.toml",
    "smtp.toml",
    "http.toml",
)
#: What a server may have answered to, where a delivery report quotes its reply.
_REPORTED = frozenset({Phase.RCPT, Phase.END})
#: Of an e-mail address.
_LOCAL_PART = re.compile(r"(?<![\w.+=-])[\w.+=-]{1,64}@(?=\w)")
_TRIGGER = re.compile(r"([1-9]\d{0,5})/(\d+)([smhd])")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class InvalidRules(MusterError, ValueError):
    """A file of rules that cannot be used; the message names the file, the rule and the field."""


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from None
    return text


def _trigger(text: str) -> str:
    if not _TRIGGER.fullmatch(text):
        raise ValueError("is a number of answers in a period, like 5/10m")
    return text


def _duration(text: str) -> str:
    if not _DURATION.fullmatch(text):
        raise ValueError("is a duration like 30s, 15m, 1h or 1d")
    return text


Pattern = Annotated[str, Field(min_length=1, max_length=2000), AfterValidator(_pattern)]


class Trigger(BaseModel):
    """So many answers within a period."""

    model_config = ConfigDict(frozen=True)

    count: int
    period: timedelta


class Rule(BaseModel):
    """One line of the classifier's table."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    source: Annotated[str, Field(min_length=3, max_length=300)]
    """An RFC's section, or the page on which a provider says so."""
    provider: Annotated[str, Field(max_length=64)] | None = None
    """Whose words these are, for people."""
    api: Annotated[str, Field(max_length=64)] | None = None
    """Only of this provider's API (`twilio`)."""
    protocols: tuple[Protocol, ...] = ()
    """Absent: each. `smtp` includes delivery reports, which quote a server's reply."""
    phases: tuple[Phase, ...] = ()
    """What the SMTP reply answers; absent: anything. A delivery report quotes one to RCPT or to the content, where it
    does not say another."""
    code: Pattern | None = None
    """All of the reply code or HTTP status: `45\\d`."""
    status: Pattern | None = None
    """All of the enhanced status code: `[45]\\.1\\.1`. An absent one is the empty text: `(5\\.0\\.0)?`."""
    error: Pattern | None = None
    """All of the provider's own error code."""
    text: Pattern | None = None
    """Anywhere in the text but in the local parts of addresses, in any case of letters."""
    scope: Scope
    meaning: Meaning
    bar: bool = False
    """The address must not be used again."""
    bar_reason: Literal["hard_bounce", "unsubscribe"] = "hard_bounce"
    trigger: Annotated[str, AfterValidator(_trigger)] | None = None
    """`5/10m`: the meaning concerns the scope from so many answers on; until then the message is deferred."""
    duration: Annotated[str, AfterValidator(_duration)] | None = None
    """How long the scope waits at first."""
    advice: Annotated[str, Field(max_length=500)] | None = None
    """What a person has to mend."""
    examples: tuple[str, ...] = ()
    """Answers that this rule decides: `454 4.7.0 text`; with a phase in front: `mail: 450 …`."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not (self.code or self.status or self.error or self.text):
            raise ValueError("needs a pattern: code, status, error or text")
        if self.bar and self.meaning is not Meaning.REFUSE:
            raise ValueError("bar: only a refusal bars an address")
        if self.meaning is Meaning.SENDER_FAULT and self.advice is None:
            raise ValueError("advice: says what a person has to mend")
        return self

    @property
    def is_specific(self) -> bool:
        """Whether it reads the provider's words or own code. Another is a default by the code."""
        return self.text is not None or self.error is not None

    @property
    def threshold(self) -> Trigger | None:
        """`trigger`, read."""
        found = None if self.trigger is None else _TRIGGER.fullmatch(self.trigger)
        if found is None:
            return None
        period = timedelta(seconds=int(found[2]) * _UNITS[found[3]])
        return Trigger(count=int(found[1]), period=period)

    @property
    def lasts(self) -> timedelta | None:
        """`duration`, read."""
        found = None if self.duration is None else _DURATION.fullmatch(self.duration)
        return None if found is None else timedelta(seconds=float(found[1]) * _UNITS[found[2]])

    def matches(self, answer: ProviderAnswer) -> bool:
        """Whether every pattern that it has matches."""
        return self.matches_codes(answer) and self.matches_text(answer.text)

    def matches_text(self, text: str) -> bool:
        """Whether the words are those that it reads, if it reads any."""
        return self.text is None or _compiled(self.text).search(_without_names(text)) is not None

    def matches_codes(self, answer: ProviderAnswer) -> bool:
        """Whether everything but the words matches."""
        if self.api is not None and self.api != answer.provider:
            return False
        if not self._is_of(answer):
            return False
        if answer.is_accepting_reply and self.code is None and self.status is None:
            return False  # words alone do not take it back: who sent it again would send it twice
        for pattern, value in (
            (self.code, answer.code),
            (self.status, answer.status),
            (self.error, answer.error),
        ):
            if pattern is not None and not _compiled(pattern).fullmatch("" if value is None else str(value)):
                return False
        return True

    def _is_of(self, answer: ProviderAnswer) -> bool:
        """Whether it is about answers that come this way, and to this."""
        if answer.protocol is Protocol.DSN:
            spoken = not self.protocols or Protocol.DSN in self.protocols or Protocol.SMTP in self.protocols
            answered = _REPORTED if answer.phase is None else {answer.phase}
            return spoken and (not self.phases or not answered.isdisjoint(self.phases))
        if self.protocols and answer.protocol not in self.protocols:
            return False
        return not self.phases or answer.phase in self.phases


@lru_cache(maxsize=4096)
def _without_names(text: str) -> str:
    """A text whose e-mail addresses have no local parts: what somebody is called says nothing of the answer."""
    return _LOCAL_PART.sub("x@", text)


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    rule: list[Rule] = Field(default_factory=list, max_length=10_000)


def read_rules(text: str, name: str) -> list[Rule]:
    """The rules of one file.

    Args:
        text: TOML.
        name: Of the file, for errors.

    Raises:
        InvalidRules: names the rule and the field.
    """
    try:
        given = tomllib.loads(text)
        rules = _File.model_validate(given).rule
    except tomllib.TOMLDecodeError as error:
        raise InvalidRules(f"{name}: {error}") from None
    except ValidationError as error:
        raise InvalidRules(f"{name}: " + "; ".join(_problems(given, error))) from None
    names = [rule.name for rule in rules]
    repeated = sorted({one for one in names if names.count(one) > 1})
    if repeated:
        raise InvalidRules(f"{name}: more than one rule is called {repeated[0]!r}")
    return rules


def _problems(given: dict[str, object], error: ValidationError) -> list[str]:
    """What is wrong, by rule and field."""
    found = []
    rules = given.get("rule")
    for problem in error.errors(include_url=False, include_context=False):
        where = [str(part) for part in problem["loc"]]
        if len(where) > 1 and isinstance(rules, list) and where[1].isdigit():
            rule = rules[int(where[1])]
            named = rule.get("name") if isinstance(rule, dict) else None
            where = [f"rule {named!r}" if named else f"rule {int(where[1]) + 1}", *where[2:]]
        found.append(": ".join([*where, problem["msg"].removeprefix("Value error, ")]))
    return found


@lru_cache(maxsize=1)
def shipped_rules() -> tuple[Rule, ...]:
    """The rules that ship with Muster."""
    return tuple(rule for name in SHIPPED for rule in read_shipped(name))


def read_shipped(name: str) -> list[Rule]:
    """The rules of one of the files of `SHIPPED`."""
    folder = files("engine.answers").joinpath("rules")
    return read_rules(folder.joinpath(name).read_text(encoding="utf-8"), name)


def operators_rules(path: Path) -> list[Rule]:
    """The rules of an operator's file.

    Raises:
        InvalidRules: it cannot be read, or not be used.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRules(f"{path}: cannot be read: {error}") from None
    return read_rules(text, str(path))
