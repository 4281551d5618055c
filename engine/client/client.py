"""`Muster` and `AsyncMuster`: a producer's way to a Muster server."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Self, TypeVar

import httpx

from engine.client import async_resources, resources
from engine.client.exchange import Exchange, Ground

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType

    from engine.client.calls import Call

__all__ = ["AsyncMuster", "Muster"]

T = TypeVar("T")


class Muster:
    """A client that waits. Use it in a `with`, or close it; safe to share between threads.

    Args:
        url: Where the server is: `http://127.0.0.1:8000`.
        key: An API key.
        transport: Instead of the network (`httpx.MockTransport`).
        sleep: Waits so many seconds between attempts.
        ground: `timeout`, `retries`, and what else there is in `Ground`.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], object] = time.sleep,
        **ground: Any,
    ) -> None:
        self._ground = Ground(key, **ground)
        self._sleep = sleep
        self._http = httpx.Client(base_url=url, transport=transport)
        self.campaign = resources.Campaigns(self.send)
        self.entity = resources.Entities(self.send)
        self.target = resources.Targets(self.send)
        self.template = resources.Templates(self.send)
        self.channel = resources.Channels(self.send)
        self.flow = resources.Flows(self.send)

    def send(self, call: Call[T], idempotency_key: str | None = None) -> T:
        """Make a call, and make it again where that is safe and may help (engine.client.retries).

        Raises:
            ApiError: the server refused.
            ConnectionFailed: no answer came.
        """
        exchange = Exchange(self._ground, call, idempotency_key)
        while True:
            try:
                response = self._http.send(exchange.request(self._http))
            except httpx.TransportError as error:
                self._sleep(exchange.failed(error))
                continue
            wait = exchange.answered(response)
            if wait is None:
                return exchange.result(response)
            self._sleep(wait)

    def close(self) -> None:
        """Close the connections. Safe to call twice."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncMuster:
    """A client that is awaited; see `Muster`."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        **ground: Any,
    ) -> None:
        self._ground = Ground(key, **ground)
        self._sleep = sleep
        self._http = httpx.AsyncClient(base_url=url, transport=transport)
        self.campaign = async_resources.Campaigns(self.send)
        self.entity = async_resources.Entities(self.send)
        self.target = async_resources.Targets(self.send)
        self.template = async_resources.Templates(self.send)
        self.channel = async_resources.Channels(self.send)
        self.flow = async_resources.Flows(self.send)

    async def send(self, call: Call[T], idempotency_key: str | None = None) -> T:
        """See `Muster.send`."""
        exchange = Exchange(self._ground, call, idempotency_key)
        while True:
            try:
                response = await self._http.send(exchange.request(self._http))
            except httpx.TransportError as error:
                await self._sleep(exchange.failed(error))
                continue
            wait = exchange.answered(response)
            if wait is None:
                return exchange.result(response)
            await self._sleep(wait)

    async def aclose(self) -> None:
        """Close the connections. Safe to call twice."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
