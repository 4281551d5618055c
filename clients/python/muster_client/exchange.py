"""One call on its way: its requests, one after another, until there is an answer or a reason to stop.

Both clients run the same steps: `request`, then `answered` or `failed`, which say how long to wait before the next.
"""

from __future__ import annotations

import inspect
import time
import uuid
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from random import random
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import httpx

from muster_client.errors import ConnectionFailed, error_of
from muster_client.retries import Retries, is_busy, seconds_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from muster_client.calls import Call

__all__ = ["AsyncSleep", "ClientConfig", "Exchange", "Sleep"]

T = TypeVar("T")
#: Waits so many seconds.
Sleep = Callable[[float], object]
AsyncSleep = Callable[[float], Awaitable[object]]

_OK = range(200, 300)
_PIECE = 64 * 1024
#: What another attempt would fail with as well: the request itself cannot be sent.
_HOPELESS = (httpx.UnsupportedProtocol, httpx.LocalProtocolError)


def _key() -> str:
    return uuid.uuid4().hex


@dataclass(frozen=True)
class ClientConfig:
    """The configuration of a client."""

    key: str = field(repr=False)
    timeout: float = 30.0
    """Seconds that connecting, and each pause of an answer, may take."""
    retries: Retries = field(default_factory=Retries)
    clock: Callable[[], float] = time.monotonic
    """Seconds, never going back."""
    now: Callable[[], float] = time.time
    """Seconds since 1970, for a `Retry-After` that is a date."""
    random: Callable[[], float] = random
    new_key: Callable[[], str] = _key


class Exchange(Generic[T]):
    """One call, with every attempt at it."""

    def __init__(self, config: ClientConfig, call: Call[T], idempotency_key: str | None) -> None:
        self._config = config
        self._call = call
        self._attempt = 0
        self._began = config.clock()
        self._headers = {
            "accept": "application/json",
            **call.headers,
            "authorization": f"Bearer {config.key}",
        }
        if call.mutates:
            self._headers["idempotency-key"] = idempotency_key or config.new_key()

    def request(self, client: httpx.Client | httpx.AsyncClient) -> httpx.Request:
        """The next attempt; the same as the one before, key and all."""
        self._attempt += 1
        call, timeout = self._call, self._config.timeout
        body: dict[str, Any] = {}
        if call.stream is not None:
            body["content"] = _content(call.stream, wants_async=isinstance(client, httpx.AsyncClient))
        elif call.json is not None:
            body["json"] = call.json
        return client.build_request(
            call.method,
            call.path,
            params=dict(call.params),
            headers=self._headers,
            timeout=httpx.Timeout(timeout, read=timeout + call.patience),
            **body,
        )

    def failed(self, error: httpx.TransportError) -> float:
        """No answer came: seconds until the next attempt.

        Raises:
            ConnectionFailed: there is none.
        """
        wait = None if isinstance(error, _HOPELESS) else self._wait(None)
        if wait is None:
            attempts = "" if self._attempt == 1 else f" ({self._attempt} attempts)"
            reason = str(error) or type(error).__name__
            raise ConnectionFailed(f"{self._call.method} {self._call.path}: {reason}{attempts}") from error
        return wait

    def answered(self, response: httpx.Response) -> float | None:
        """An answer came: seconds until the next attempt; None: it is the one (`result`).

        Raises:
            ApiError: it is a refusal.
        """
        if response.status_code in _OK:
            return None
        if is_busy(response.status_code, response.content, self._attempt):
            wait = self._wait(seconds_of(response.headers.get("retry-after"), self._config.now))
            if wait is not None:
                return wait
        request_id = response.headers.get("x-request-id")
        raise error_of(response.status_code, response.content, request_id)

    def result(self, response: httpx.Response) -> T:
        """What the call is answered with: parsed JSON, other text as it is, or None."""
        if response.headers.get("content-type", "").startswith("text/"):
            return cast("T", response.text)
        return cast("T", response.json() if response.content else None)

    def _wait(self, retry_after: float | None) -> float | None:
        config = self._config
        if not self._call.repeatable:
            return None
        return config.retries.wait(self._attempt, config.clock() - self._began, retry_after, config.random)


def _content(stream: Any, *, wants_async: bool) -> Any:
    """The body as the kind of client takes it: bytes, or pieces."""
    source = stream() if callable(stream) else stream
    if isinstance(source, bytes):
        return source
    if hasattr(source, "read"):
        source = _pieces(source)
    if wants_async and not isinstance(source, AsyncIterable):
        return _as_async(source)
    if not wants_async and not isinstance(source, Iterable):
        kind = "an async iterable" if isinstance(source, AsyncIterable) else type(source).__name__
        raise TypeError(f"a body is bytes, a file or an iterable of bytes, not {kind}")
    return source


def _pieces(file: Any) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        if inspect.iscoroutine(piece):
            piece.close()
            raise TypeError("an asynchronous file is given as an async iterable of bytes")
        yield piece


async def _as_async(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
