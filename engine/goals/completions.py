"""Any endpoint that speaks OpenAI's chat completions as an analyser.

Promises:
- The answer is an `Analysis` as pydantic has checked it, or `AnalysisFailed`; there is nothing in between.
- A question is asked three times at most. Asked again is after a time-out, 408, 409, 429 and 5xx, with back-off and
  jitter, for as long as the server says, up to ten seconds; and after an answer that is no analysis, because a model
  may do better. A refusal stands. What every attempt cost is counted, also when there is no analysis in the end.
- The key shows in no text. A conversation is sent where the operator's `analyser_url` points to, and nowhere else.
"""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import ValidationError

from config.errors import MusterError
from engine.channels.http.answers import excerpt, pick, retry_after
from engine.channels.http.client import HttpClient, Unanswered
from engine.channels.http.request import Request
from engine.channels.http.settings import Connection
from engine.channels.scrub import Scrub
from engine.goals.port import Analysis, AnalysisFailed, Usage, Verdict
from engine.goals.prompt import asked, schema
from engine.kernel.outbound import Guard

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from engine.channels.http.answers import Answer
    from engine.goals.port import Question

__all__ = ["ATTEMPTS", "CompletionsAnalyser"]

#: Times that one question is asked at most.
ATTEMPTS = 3
#: Seconds: before the second attempt, and the most before any.
_FIRST, _LONGEST = 0.5, 10.0
#: Tokens of an answer. An analysis has some 700.
_TOKENS = 4000
_AGAIN = frozenset({408, 409, 429})
_SERVER_ERROR = 500
_MILLION = 1_000_000
_MOST_TOKENS = 10_000_000
_SOURCE_LIMIT = 64
_CONNECT = timedelta(seconds=10)
#: The operator writes the URL, no tenant: models on a private network are as good as any.
_ANYWHERE = (ip_network("0.0.0.0/0"), ip_network("::/0"))


class CompletionsAnalyser:
    """Asks a language model.

    Args:
        url: Up to `/chat/completions`, without it: `https://api.openai.com/v1`.
        key: Sent as a bearer; None: the server asks for none.
        timeout: For one answer.
        prices: Of a million tokens of the question, and of the answer.
        sleep: Waits some seconds.
        chance: A number from 0 to 1, for jitter.
    """

    def __init__(
        self,
        *,
        url: str,
        model: str,
        key: str | None = None,
        timeout: timedelta = timedelta(seconds=30),
        prices: tuple[float, float] = (0.0, 0.0),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._url = url.rstrip("/") + "/chat/completions"
        self._model = model
        self._headers = {"Content-Type": "application/json"}
        if key is not None:
            self._headers["Authorization"] = f"Bearer {key}"
        self._scrub = Scrub([key] if key is not None else [])
        self._prices = prices
        connection = Connection(concurrency=1, connect_timeout=min(_CONNECT, timeout), timeout=timeout)
        self._client = HttpClient(connection, Guard(_ANYWHERE))
        self._sleep = sleep
        self._chance = chance

    async def analyse(self, question: Question) -> Verdict:
        """Ask, and ask again where that may help.

        Raises:
            AnalysisFailed: see the module.
        """
        body = {
            "model": self._model,
            "messages": asked(question),
            "response_format": schema(),
            "max_completion_tokens": _TOKENS,
        }
        request = Request("POST", self._url, self._headers, orjson.dumps(body))
        used = Usage()
        wait = _FIRST
        for attempt in range(1, ATTEMPTS + 1):
            try:
                analysis, usage = self._read(await self._answer(request))
                return Verdict(analysis, f"openai/{self._model}"[:_SOURCE_LIMIT], used + usage)
            except _Trouble as trouble:
                used += trouble.usage
                asks_for = trouble.retry_after or 0.0
                if not trouble.again or attempt == ATTEMPTS or asks_for > _LONGEST:
                    raise trouble.failed(used) from None
                await self._sleep(max(asks_for, wait * (0.5 + self._chance() / 2)))
                wait = min(wait * 2, _LONGEST)
        raise AssertionError  # the last attempt returns or raises

    async def close(self) -> None:
        """Close the connections. Safe to call twice."""
        await self._client.close()

    async def _answer(self, request: Request) -> Answer:
        try:
            return await self._client.exchange(request)
        except Unanswered as unanswered:
            timed_out = unanswered.outcome.code == "HTTP_TIMEOUT"
            code = "ANALYSER_TIMEOUT" if timed_out else "ANALYSER_UNREACHABLE"
            raise _Trouble(code, unanswered.outcome.text, transient=True) from None

    def _read(self, answer: Answer) -> tuple[Analysis, Usage]:
        status = answer.status
        if status // 100 != 2:  # noqa: PLR2004 - RFC 9110 §15.3
            transient = status in _AGAIN or status >= _SERVER_ERROR
            text = f"{status} {excerpt(answer, self._scrub)}".strip()
            raise _Trouble(f"ANALYSER_{status}", text, transient=transient, retry_after=retry_after(answer))
        if not answer.whole:
            raise _Trouble("ANALYSER_CUT_OFF", "the connection ended within the answer", transient=True)
        said = answer.json()
        usage = self._usage(said)
        message = pick(said, "choices.0.message")
        if not isinstance(message, dict):
            raise _Trouble("ANALYSER_NO_ANSWER", "the answer is no chat completion", usage=usage)
        refusal, reason = message.get("refusal"), pick(said, "choices.0.finish_reason")
        if refusal or reason == "content_filter":
            text = self._scrub(" ".join(str(refusal or "by its content filter").split()))[:300]
            raise _Trouble("ANALYSER_REFUSED", f"the model refused: {text}", again=False, usage=usage)
        if reason == "length":
            raise _Trouble("ANALYSER_CUT_OFF", "the model's answer is too long", usage=usage)
        try:
            given = orjson.loads(message.get("content") or "")
        except (orjson.JSONDecodeError, TypeError):
            raise _Trouble("ANALYSER_NO_JSON", "the model's answer is not JSON", usage=usage) from None
        try:
            return Analysis.model_validate(given), usage
        except ValidationError as error:
            # Names and reasons alone: what the model said there is nobody's to read in a log.
            finding = error.errors(include_url=False, include_input=False, include_context=False)[0]
            where = ".".join(str(part) for part in finding["loc"])[:100] or "the answer"
            text = f"the model's answer is no analysis: {where}: {finding['msg']}"[:300]
            raise _Trouble("ANALYSER_WRONG_SHAPE", text, usage=usage) from None

    def _usage(self, said: Any) -> Usage:
        prompt, completion = (
            value
            if isinstance(value := pick(said, f"usage.{name}"), int) and 0 <= value <= _MOST_TOKENS
            else 0
            for name in ("prompt_tokens", "completion_tokens")
        )
        cost = (prompt * self._prices[0] + completion * self._prices[1]) / _MILLION
        return Usage(prompt, completion, cost)


class _Trouble(MusterError):
    """One attempt came to nothing.

    Args:
        again: Whether to ask once more.
        transient: Whether the failure, when it is the last, may pass; else the analyser is at fault.
    """

    def __init__(
        self,
        code: str,
        text: str,
        *,
        transient: bool = False,
        again: bool | None = None,
        retry_after: float | None = None,
        usage: Usage | None = None,
    ) -> None:
        super().__init__(text)
        self.code = code
        self.transient = transient
        status_says_no = code.removeprefix("ANALYSER_").isdecimal() and not transient
        self.again = not status_says_no if again is None else again
        self.retry_after = retry_after
        self.usage = usage or Usage()

    def failed(self, usage: Usage) -> AnalysisFailed:
        """As the port has it, with what all attempts cost."""
        return AnalysisFailed(
            self.code, str(self), transient=self.transient, retry_after=self.retry_after, usage=usage
        )
