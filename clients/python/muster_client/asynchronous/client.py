"""A connection to a Muster server. `synchronous` is generated from `asynchronous` (`make client`)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self, TypeVar

import httpx

from muster_client.asynchronous import resources
from muster_client.exchange import AsyncSleep, ClientConfig, Exchange

if TYPE_CHECKING:
    from types import TracebackType

    from muster_client.calls import Call

__all__ = ["AsyncMuster"]

T = TypeVar("T")


class AsyncMuster:
    """A connection to a Muster server. Close it, or use it in a `with` block; safe to share between threads or tasks.

    Args:
        url: The server's address: `http://127.0.0.1:8000`.
        key: An API key.
        transport: Replaces the network (`httpx.MockTransport`).
        sleep: Waits so many seconds between attempts.
        config: `timeout`, `retries` and the other fields of `ClientConfig`.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: AsyncSleep = asyncio.sleep,
        **config: Any,
    ) -> None:
        self._config = ClientConfig(key, **config)
        self._sleep = sleep
        self._http = httpx.AsyncClient(base_url=url, transport=transport)
        self.campaign = resources.Campaigns(self.send)
        self.entity = resources.Entities(self.send)
        self.target = resources.Targets(self.send)
        self.template = resources.Templates(self.send)
        self.channel = resources.Channels(self.send)
        self.flow = resources.Flows(self.send)

    async def send(self, call: Call[T], idempotency_key: str | None = None) -> T:
        """Make a call, and repeat it where that is safe and may help (muster_client.retries).

        Raises:
            ApiError: the server refused it.
            ConnectionFailed: no answer came.
        """
        exchange = Exchange(self._config, call, idempotency_key)
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
