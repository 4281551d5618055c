"""A connection to a Muster server. `synchronous` is generated from `asynchronous` (`make client`)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self, TypeVar

import httpx

from muster_client.exchange import ClientConfig, Exchange, Sleep
from muster_client.synchronous import resources

if TYPE_CHECKING:
    from types import TracebackType

    from muster_client.calls import Call

__all__ = ["Muster"]

T = TypeVar("T")


class Muster:
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
        transport: httpx.BaseTransport | None = None,
        sleep: Sleep = time.sleep,
        **config: Any,
    ) -> None:
        self._config = ClientConfig(key, **config)
        self._sleep = sleep
        self._http = httpx.Client(base_url=url, transport=transport)
        self.campaign = resources.Campaigns(self.send)
        self.entity = resources.Entities(self.send)
        self.target = resources.Targets(self.send)
        self.template = resources.Templates(self.send)
        self.channel = resources.Channels(self.send)
        self.flow = resources.Flows(self.send)

    def send(self, call: Call[T], idempotency_key: str | None = None) -> T:
        """Make a call, and repeat it where that is safe and may help (muster_client.retries).

        Raises:
            ApiError: the server refused it.
            ConnectionFailed: no answer came.
        """
        exchange = Exchange(self._config, call, idempotency_key)
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
