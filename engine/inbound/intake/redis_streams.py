"""Events from a Redis stream, by a consumer group: `redis://127.0.0.1:6379/0?stream=events`.

An entry holds the event in the field `body` (or `data`); other fields are headers. What a consumer read and did not
finish is handed to another one after `_IDLE`. Dead letters are the stream `<stream>.dead`, of which the last `_KEPT`
stay.
"""

from __future__ import annotations

import os
import socket
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import redis

from engine.inbound.intake.source import Arrived, Dead, SourceAway, SourceMisnamed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["RedisStream"]

_BODY = (b"body", b"data")
_IDLE = timedelta(seconds=30)
_KEPT = 100_000
_GIVE_UP_SECONDS = 10.0


class RedisStream:
    """One stream.

    Args:
        url: Of the server, with `stream` and, if it is not `muster`, `group` in its query. `finished=delete` removes
            entries that were taken; otherwise the stream's owner trims it.
        idle: After so long another consumer's entries are taken over.

    Raises:
        SourceMisnamed: it names no stream.
    """

    def __init__(self, url: str, *, idle: timedelta = _IDLE) -> None:
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query))
        self._stream = query.pop("stream", "")
        self._group = query.pop("group", "muster")
        self._deletes = query.pop("finished", "keep") == "delete"
        if not self._stream or query:
            wrong = f"?{next(iter(query))}= is unknown" if query else "?stream= is missing"
            raise SourceMisnamed(f"{wrong}; an address is like redis://127.0.0.1:6379/0?stream=events")
        self._client = redis.Redis.from_url(
            parts._replace(query="").geturl(),
            socket_connect_timeout=_GIVE_UP_SECONDS,
            socket_timeout=_GIVE_UP_SECONDS,
        )
        self._consumer = f"{socket.gethostname()}-{os.getpid()}-{id(self)}"
        self._idle = int(idle / timedelta(milliseconds=1))
        self._joined = False

    def receive(self, most: int, wait: float) -> Sequence[Arrived]:
        """See `Source.receive`."""
        with _answering():
            self._join()
            _, entries, *_ = self._client.xautoclaim(
                self._stream, self._group, self._consumer, self._idle, count=most
            )
            if not entries:
                block = max(1, int(min(wait, _GIVE_UP_SECONDS / 2) * 1000))
                streams: Any = {self._stream: ">"}
                found: Any = self._client.xreadgroup(self._group, self._consumer, streams, most, block)
                entries = found[0][1] if found else []
        return [_arrived(key, fields) for key, fields in entries]

    def bury(self, dead: Sequence[Dead]) -> None:
        """See `Source.bury`."""
        with _answering(), self._client.pipeline(transaction=False) as pipeline:
            for one in dead:
                fields: Any = {"body": one.body, "reason": one.reason}
                pipeline.xadd(f"{self._stream}.dead", fields, maxlen=_KEPT, approximate=True)
            pipeline.execute()

    def finish(self, arrived: Sequence[Arrived]) -> None:
        """See `Source.finish`."""
        receipts = [one.receipt for one in arrived]
        if not receipts:
            return
        with _answering(), self._client.pipeline(transaction=False) as pipeline:
            pipeline.xack(self._stream, self._group, *receipts)
            if self._deletes:
                pipeline.xdel(self._stream, *receipts)
            pipeline.execute()

    def close(self) -> None:
        """See `Source.close`."""
        self._client.close()

    def _join(self) -> None:
        if self._joined:
            return
        try:
            self._client.xgroup_create(self._stream, self._group, id="0", mkstream=True)
        except redis.ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise
        self._joined = True


def _arrived(key: bytes, fields: Mapping[bytes, bytes]) -> Arrived:
    body = next((fields[name] for name in _BODY if name in fields), b"")
    headers = {
        name.decode(errors="replace"): value.decode(errors="replace")
        for name, value in fields.items()
        if name not in _BODY
    }
    return Arrived(key, body, headers)


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except redis.ResponseError as error:
        if str(error).startswith("WRONGTYPE"):
            raise SourceMisnamed(f"what has that name in Redis is no stream: {error}") from error
        raise SourceAway(f"Redis: {error}") from error
    except redis.RedisError as error:
        raise SourceAway(f"Redis: {error}") from error
