"""What one connection may ask of the API's server before a route sees it: a head of so many bytes within so many
seconds, beside so many other connections.

The API's port is public, since the links in mails lead to it. A client that sends a head without end, or begins one
and never ends it, must cost nothing that others need:

- a head (request line and header fields) that is longer than `HEAD_BYTES` is answered 431, and the connection ends;
- a head that has not arrived `HEAD_SECONDS` after its first byte (the first one: after the connection was made) is
  answered 408, and the connection ends;
- beyond `CONNECTIONS` open ones a new connection is closed at once.

Bodies have limits of their own (engine.api.bodies).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if sys.platform != "win32":
    import resource

if TYPE_CHECKING:
    import asyncio

__all__ = ["CONNECTIONS", "HEAD_BYTES", "HEAD_SECONDS", "LimitedConnection", "allow_connections"]

HEAD_BYTES = 64 * 1024
HEAD_SECONDS = 20.0
#: Open ones of a process.
CONNECTIONS = 8192
#: Files that a process holds open beside its connections.
_OTHER_FILES = 512
_ANSWERS = {408: b"408 Request Timeout", 431: b"431 Request Header Fields Too Large"}


class LimitedConnection(HttpToolsProtocol):
    """One connection of the API's server."""

    head_bytes = HEAD_BYTES
    head_seconds = HEAD_SECONDS
    most = CONNECTIONS

    _in_head = True
    _refused = False
    _requests = 0
    """Requests that arrived whole."""
    _arrived = 0
    """Bytes of the head that is arriving, without those that arrived together with the request before it."""
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take the connection, or close it when there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.most:
            self._refused = True
            transport.abort()
            return
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        self._unwatch()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, while the head is within its limits."""
        if self._refused:
            return
        if self._in_head and self._deadline is None:
            self._watch()
        before = self._requests
        super().data_received(data)
        if self._in_head and self._requests == before and not self._refused:
            self._arrived += len(data)
            if self._arrived > self.head_bytes:
                self._refuse(431)

    def on_headers_complete(self) -> None:
        """A head is whole; serve its request, unless it is too long."""
        self._in_head = False
        self._unwatch()
        length = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if length > self.head_bytes:
            self._refuse(431)
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Part of a body; nobody reads that of a refused request."""
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole; another head may follow."""
        if not self._refused:
            super().on_message_complete()
        self._requests += 1
        self._in_head, self._arrived = True, 0

    def _watch(self) -> None:
        self._deadline = self.loop.call_later(self.head_seconds, self._refuse, 408)

    def _unwatch(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, status: int) -> None:
        self._unwatch()
        self._refused = True
        transport = cast("Any", self.transport)
        if not transport.is_closing():
            transport.write(
                b"HTTP/1.1 %b\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % _ANSWERS[status]
            )
            transport.close()


def allow_connections() -> None:
    """Raise this process's limit of open files as far as `CONNECTIONS` need it and the system lets it."""
    if sys.platform == "win32":  # which has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
