"""A connection to a Muster server. `synchronous` is generated from `asynchronous` (`make client`)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self, TypeVar

import httpx

from muster_client.exchange import ClientConfig, Exchange, Sleep
from muster_client.server_events import EventReader
from muster_client.synchronous.audience import Entities, Suppressions, Targets, Topics
from muster_client.synchronous.campaigns import Campaigns
from muster_client.synchronous.content import Channels, Flows, Templates
from muster_client.synchronous.enrolment import EnrolledTargets
from muster_client.synchronous.events import Events, Webhooks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from muster_client.calls import Call
    from muster_client.types import Event

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
        self.campaign = Campaigns(self.send)
        self.entity = Entities(self.send)
        self.target = Targets(self.send)
        self.topic = Topics(self.send)
        self.suppression = Suppressions(self.send)
        self.template = Templates(self.send)
        self.channel = Channels(self.send)
        self.flow = Flows(self.send)
        self.enrolled_target = EnrolledTargets(self.send)
        self.event = Events(self.send, self._listen)
        self.webhook = Webhooks(self.send)

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

    def _listen(self, call: Call[Any], after: str | None) -> Iterator[Event]:
        """The events of a stream, over as many connections as it takes (`event.listen`)."""
        reader = EventReader(after)
        while True:
            exchange = Exchange(self._config, reader.resumed(call), None)
            reached = False
            while not reached:
                try:
                    response = self._http.send(exchange.request(self._http), stream=True)
                    try:
                        if response.is_error:
                            response.read()
                        wait = exchange.answered(response)
                        if wait is None:
                            reached, wait = True, reader.pause
                            for line in response.iter_lines():
                                event = reader.line(line)
                                if event is not None:
                                    yield event
                    finally:
                        response.close()
                except httpx.TransportError as error:
                    wait = reader.pause if reached else exchange.failed(error)
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
