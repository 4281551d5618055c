"""What an HTTP answer means: the classifier's verdict (engine.answers) as an outcome.

The provider's own words and codes come first, its status is the default; docs/answers.md is the table. Beside it:

- 503 with Retry-After slows the channel down for as long as it says.
- 504 is doubt: a gateway passed the message on and heard nothing.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import orjson

from engine.answers.classify import classifier_of
from engine.answers.http_answers import read_http
from engine.channels.port import Delivered, Doubtful, Rejected, Throttled
from engine.channels.verdicts import outcome_of_verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from engine.answers.classify import Classifier
    from engine.answers.rules import Rule
    from engine.channels.port import Outcome

__all__ = ["Answer", "excerpt", "outcome_of", "pick", "retry_after", "seconds"]

#: No provider is believed that asks for more than a day.
_LONGEST = 86_400.0
_TEXT_LIMIT = 300
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
#: Where APIs say what is wrong, most telling first.
_TELLING = (
    "message",
    "Message",
    "error_description",
    "detail",
    "description",
    "title",
    "error",
    "errors",
    "reason",
)

_UNAVAILABLE, _GATEWAY_TIMEOUT = 503, 504


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Header names are in lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    whole: bool = True
    """The body came to its end, or as far as anybody reads it."""

    def json(self) -> Any:
        """The body as JSON; None when it is none."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None


def outcome_of(
    answer: Answer,
    *,
    classifier: Classifier | None = None,
    scrub: Callable[[str], str] = str,
    success: Collection[int] = (),
    prefix: str = "HTTP",
    api: str | None = None,
    error: str | None = None,
    said: str | None = None,
) -> Outcome:
    """The outcome of an answer.

    Args:
        classifier: Says what it means; None: by the rules that ship with Muster.
        scrub: Takes secrets out of what the provider says.
        success: Statuses that mean it was taken; empty: 200 to 299.
        prefix: Of the code: `HTTP_404`.
        api: Whose API it is; None: as the body's shape says, if it says.
        error: The API's own code; None: where the body has it.
        said: What it says is wrong; None: as `excerpt` finds it.
    """
    status = answer.status
    taken = status in success if success else _is(status, 2)
    if taken and error is None:
        return Delivered()
    reply = read_http(status, answer.headers, answer.body, api=api, error=error)
    verdict = (classifier or classifier_of()).classify(reply)
    said = excerpt(answer, scrub) if said is None else scrub(said)[:_TEXT_LIMIT]
    code, text = f"{prefix}_{status}", f"{status} {said}".strip()
    if api is not None and error is not None and verdict.rule.is_specific:
        code, text = _code_of(verdict.rule, api, error), said
    certain, wait = verdict.rule.is_specific, retry_after(answer)
    if status == _UNAVAILABLE and wait is not None and not certain:
        return Throttled(code, text, wait)
    if status == _GATEWAY_TIMEOUT and not certain:
        return Doubtful(code, text)
    if _is(status, 3):
        text = f"{text} (redirects are not followed)".strip()
    outcome = outcome_of_verdict(verdict, reply, code, text, wait=wait)
    return Rejected(code, text) if isinstance(outcome, Delivered) else outcome


def _code_of(rule: Rule, api: str, error: str) -> str:
    """`TWILIO_21610`; where words of an API say more than its code, the rule's name: `TELEGRAM_BLOCKED`."""
    if rule.api == api and rule.text is not None:
        return rule.name.upper().replace("-", "_")
    return f"{api}_{error}".upper()


def excerpt(answer: Answer, scrub: Callable[[str], str] = str) -> str:
    """What the provider says is wrong: one line, without secrets, at most 300 characters."""
    said = answer.json()
    text = _message(said) if said is not None else answer.body.decode(errors="replace")
    return _UNFIT.sub(" ", scrub(text)).strip()[:_TEXT_LIMIT]


def pick(value: Any, path: str) -> Any:
    """What stands at a path like `messages.0.id`; None when nothing does."""
    for step in path.split("."):
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def retry_after(answer: Answer) -> float | None:
    """Seconds of Retry-After (RFC 9110 §10.2.3): a number, or a date, which counts from the answer's own Date, so
    that clocks need not agree. None when there is none that can be read.
    """
    given = answer.headers.get("retry-after", "").strip()
    if not given:
        return None
    try:
        return seconds(float(given))
    except ValueError:
        pass
    try:
        until = parsedate_to_datetime(given)
        now = parsedate_to_datetime(answer.headers.get("date", ""))
        return seconds((until.astimezone(UTC) - now.astimezone(UTC)).total_seconds())
    except (TypeError, ValueError, OverflowError):
        return None


def seconds(value: Any) -> float | None:
    """A provider's number of seconds within reason: 0 to a day; None when it is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        return None
    return float(min(max(value, 0), _LONGEST))


def _is(status: int, hundreds: int) -> bool:
    return status // 100 == hundreds


def _message(said: Any) -> str:
    if isinstance(said, dict):
        for key in _TELLING:
            if said.get(key):
                return _message(said[key])
    if isinstance(said, list) and said:
        return _message(said[0])
    return said if isinstance(said, str) else orjson.dumps(said).decode()
