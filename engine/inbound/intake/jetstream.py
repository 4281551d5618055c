"""Events from a stream of NATS JetStream: `nats://127.0.0.1:4222?stream=EVENTS`.

A durable pull consumer; what it did not acknowledge within `_ACK_SECONDS` comes again, to whichever process asks. Dead
letters are the stream `<stream>-dead`, subject `dead.<stream>`, with the reason in the header `Reason`.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import nats
from nats.errors import Error as NatsError
from nats.errors import NoServersError
from nats.errors import TimeoutError as NatsTimeout
from nats.js.api import ConsumerConfig, StreamConfig
from nats.js.errors import NotFoundError

from engine.inbound.intake.source import Arrived, Dead, SourceAway, SourceMisnamed

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator, Sequence

__all__ = ["JetStream"]

_ACK_SECONDS = 60.0
_GIVE_UP_SECONDS = 10.0


class JetStream:
    """One stream.

    Args:
        url: Of a server, with `stream`, and if wanted `subject` and `consumer` (`muster`), in its query.
        ack_seconds: After so long what was not finished comes again.

    Raises:
        SourceMisnamed: it names no stream.
    """

    def __init__(self, url: str, *, ack_seconds: float = _ACK_SECONDS) -> None:
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query))
        self._stream = query.pop("stream", "")
        self._subject = query.pop("subject", "")
        self._durable = query.pop("consumer", "muster")
        if not self._stream or query:
            wrong = f"?{next(iter(query))}= is unknown" if query else "?stream= is missing"
            raise SourceMisnamed(f"{wrong}; an address is like nats://127.0.0.1:4222?stream=EVENTS")
        self._url = parts._replace(query="", path="").geturl()
        self._ack_seconds = ack_seconds
        self._loop = asyncio.new_event_loop()
        self._connection: Any = None
        self._subscription: Any = None

    def receive(self, most: int, wait: float) -> Sequence[Arrived]:
        """See `Source.receive`."""
        with self._answering():
            try:
                found = self._run(self._fetch(most, wait))
            except NatsTimeout:
                return []
        return [Arrived(one, one.data, one.headers or {}) for one in found]

    def bury(self, dead: Sequence[Dead]) -> None:
        """See `Source.bury`."""
        with self._answering():
            self._run(self._publish(dead))

    def finish(self, arrived: Sequence[Arrived]) -> None:
        """See `Source.finish`."""
        with self._answering():
            self._run(self._acknowledge(arrived))

    def close(self) -> None:
        """See `Source.close`."""
        connection, self._connection, self._subscription = self._connection, None, None
        if self._loop.is_closed():
            return
        if connection is not None:
            with suppress(NatsError, OSError, TimeoutError):
                self._run(connection.close())
        self._loop.close()

    async def _fetch(self, most: int, wait: float) -> Any:
        await self._open()
        return await self._subscription.fetch(most, timeout=wait)

    async def _publish(self, dead: Sequence[Dead]) -> None:
        await self._open()
        stream = self._connection.jetstream()
        subject = f"dead.{self._stream}"
        try:
            await stream.stream_info(f"{self._stream}-dead")
        except NotFoundError:
            await stream.add_stream(StreamConfig(name=f"{self._stream}-dead", subjects=[subject]))
        for one in dead:
            reason = one.reason[:1000].replace("\r", " ").replace("\n", " ")
            await stream.publish(subject, one.body, headers={"Reason": reason})

    async def _acknowledge(self, arrived: Sequence[Arrived]) -> None:
        for one in arrived:
            await one.receipt.ack()
        await self._connection.flush(_GIVE_UP_SECONDS)

    async def _open(self) -> None:
        if self._subscription is not None:
            return
        self._connection = await nats.connect(
            self._url,
            connect_timeout=_GIVE_UP_SECONDS,
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            error_cb=_unheard,
        )
        config = ConsumerConfig(ack_wait=self._ack_seconds, max_ack_pending=20_000)
        self._subscription = await self._connection.jetstream().pull_subscribe(
            self._subject, durable=self._durable, stream=self._stream, config=config
        )

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._loop.run_until_complete(work)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except NotFoundError as error:
            raise SourceMisnamed(f"NATS has no stream {self._stream!r}") from error
        except (NatsError, NoServersError, OSError, TimeoutError) as error:
            self._subscription = None
            raise SourceAway(f"NATS: {str(error) or type(error).__name__}") from error


async def _unheard(_error: Exception) -> None:
    """Errors reach the caller of the method that meets them."""
