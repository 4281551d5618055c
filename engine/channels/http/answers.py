"""What an HTTP answer means, unless a provider has its own words for it.

| status | outcome |
|---|---|
| 200-299, or those named as success | Delivered |
| 429, or 503 with Retry-After | Throttled, for as long as it says |
| 401, 407, redirects | Down: it is about the account or the address of the API, not about the message |
| 408, 409, 425 | Deferred; 409 is how APIs say that the first attempt with this key still runs |
| 504 | Doubtful: a gateway passed it on and heard nothing |
| other 5xx | Deferred |
| other 4xx | Rejected |
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import orjson

from engine.channels.port import Deferred, Delivered, Doubtful, Down, Rejected, Throttled

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from engine.channels.port import Outcome

__all__ = ["Answer", "excerpt", "outcome_of", "pick", "retry_after", "seconds"]

#: No provider is believed that asks for more than a day.
_LONGEST = 86_400.0
_TEXT_LIMIT = 300
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
#: Where APIs say what is wrong, most telling first.
_TELLING = ("message", "error_description", "detail", "description", "title", "error", "errors", "reason")

_BAD_REQUEST = 400
_UNAUTHORIZED, _PROXY_AUTH, _TIMEOUT, _CONFLICT, _TOO_EARLY = 401, 407, 408, 409, 425
_TOO_MANY, _SERVER_ERROR, _UNAVAILABLE, _GATEWAY_TIMEOUT = 429, 500, 503, 504


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
    scrub: Callable[[str], str] = str,
    success: Collection[int] = (),
    prefix: str = "HTTP",
) -> Outcome:
    """The outcome by the table above.

    Args:
        scrub: Takes secrets out of what the provider says.
        success: Statuses that mean it was taken; empty: 200 to 299.
        prefix: Of the code: `HTTP_404`.
    """
    status = answer.status
    taken = status in success if success else _is(status, 2)
    if taken:
        return Delivered()
    code, text = f"{prefix}_{status}", f"{status} {excerpt(answer, scrub)}".strip()
    wait = retry_after(answer)
    if status == _TOO_MANY or (status == _UNAVAILABLE and wait is not None):
        return Throttled(code, text, wait)
    if status in (_UNAUTHORIZED, _PROXY_AUTH) or _is(status, 3):
        return Down(code, text if status >= _BAD_REQUEST else f"{text} (redirects are not followed)".strip())
    if status == _GATEWAY_TIMEOUT:
        return Doubtful(code, text)
    if status in (_TIMEOUT, _CONFLICT, _TOO_EARLY) or status >= _SERVER_ERROR:
        return Deferred(code, text, wait)
    return Rejected(code, text)


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
