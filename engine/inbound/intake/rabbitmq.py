"""Events from a queue of RabbitMQ: `amqp://user:password@127.0.0.1:5672/%2F?queue=events`.

The queue is declared durable unless it is there; what a consumer did not finish the broker hands to another one when
its connection ends. Dead letters are the queue `<queue>.dead`, with the reason in the header `x-reason`.
"""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pika

from engine.inbound.intake.source import Arrived, Dead, SourceAway, SourceMisnamed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["RabbitMqQueue"]

_GIVE_UP_SECONDS = 10.0
_NOT_FOUND, _PRECONDITION = 404, 406


class RabbitMqQueue:
    """One queue.

    Args:
        url: Of the server and its virtual host, with `queue` in its query.
        prefetch: Messages that the broker sends ahead.

    Raises:
        SourceMisnamed: it names no queue.
    """

    def __init__(self, url: str, *, prefetch: int = 2000) -> None:
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query))
        self._queue = query.pop("queue", "")
        if not self._queue:
            raise SourceMisnamed(
                "?queue= is missing; an address is like amqp://127.0.0.1:5672/%2F?queue=events"
            )
        self._parameters = pika.URLParameters(parts._replace(query=urlencode(query)).geturl())
        self._parameters.socket_timeout = _GIVE_UP_SECONDS
        self._parameters.blocked_connection_timeout = _GIVE_UP_SECONDS
        self._prefetch = prefetch
        self._connection: Any = None
        self._channel: Any = None
        self._arrived: list[Arrived] = []

    def receive(self, most: int, wait: float) -> Sequence[Arrived]:
        """See `Source.receive`."""
        ends = time.monotonic() + wait
        with self._answering():
            self._open()
            while not self._arrived and (left := ends - time.monotonic()) > 0:
                self._connection.process_data_events(left)
            self._connection.process_data_events(0)
        taken, self._arrived = self._arrived[:most], self._arrived[most:]
        return taken

    def bury(self, dead: Sequence[Dead]) -> None:
        """See `Source.bury`."""
        with self._answering():
            self._open()
            for one in dead:
                properties = pika.BasicProperties(delivery_mode=2, headers={"x-reason": one.reason[:1000]})
                self._channel.basic_publish("", f"{self._queue}.dead", one.body, properties, mandatory=True)

    def finish(self, arrived: Sequence[Arrived]) -> None:
        """See `Source.finish`. Messages are finished in the order in which they came."""
        if not arrived:
            return
        with self._answering():
            self._channel.basic_ack(max(one.receipt for one in arrived), multiple=True)
            self._connection.process_data_events(0)

    def close(self) -> None:
        """See `Source.close`."""
        self._arrived = []
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None and connection.is_open:
            with suppress(pika.exceptions.AMQPError, OSError):
                connection.close()

    def _open(self) -> None:
        if self._channel is not None:
            return
        self._connection = pika.BlockingConnection(self._parameters)
        channel = self._connection.channel()
        channel.confirm_delivery()
        for name in (self._queue, f"{self._queue}.dead"):
            try:
                channel.queue_declare(name, passive=True)
            except pika.exceptions.ChannelClosedByBroker as error:
                if error.reply_code != _NOT_FOUND:
                    raise
                channel = self._connection.channel()
                channel.confirm_delivery()
                channel.queue_declare(name, durable=True)
        channel.basic_qos(prefetch_count=self._prefetch)
        channel.basic_consume(self._queue, self._on_message)
        self._channel = channel

    def _on_message(self, _channel: Any, method: Any, properties: Any, body: bytes) -> None:
        headers = {str(name): str(value) for name, value in (properties.headers or {}).items()}
        self._arrived.append(Arrived(method.delivery_tag, body, headers))

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except pika.exceptions.ChannelClosedByBroker as error:
            self.close()
            if error.reply_code in (_NOT_FOUND, _PRECONDITION):
                raise SourceMisnamed(f"RabbitMQ: {error.reply_text}") from error
            raise SourceAway(f"RabbitMQ: {error.reply_text}") from error
        except (pika.exceptions.AMQPError, OSError) as error:
            self.close()
            raise SourceAway(f"RabbitMQ: {str(error) or type(error).__name__}") from error
