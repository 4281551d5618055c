"""A TCP proxy between Muster and one of its servers that breaks on command.

It runs on an event loop in a thread of the test's process, so that a test switches it with a method call.
What it does to connections:

| call | new connections | bytes on live ones |
|---|---|---|
| `forward()` | pass | pass; what was stalled is delivered now, connections that lost bytes are reset |
| `stall()` | open, silent | held back both ways: a network that is gone for a while |
| `swallow()` | pass | requests pass, replies are thrown away: done, and nobody will know |
| `refuse()` | reset at once | all are reset: nobody there |
| `delay(seconds)` | pass | each piece of a reply waits that long before it is passed on, in order |
| `lose_reply(times, to=b"…")` | pass | the next replies to requests with `to` in them become resets |
| `reset()`, `cut()` | pass | all live ones end at once, by RST or in an orderly way |

It never looks into the protocol: a "request" is what the client sent last, a "reply" the server's next bytes.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["Proxy"]

_PIECE = 1 << 16


class _Link:
    """One client's connection and the one to the server behind it."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client = client
        self.server = server
        self.asked = False
        """A request that is not answered yet contains what `lose_reply` waits for."""
        self.torn = False
        """A reply was thrown away: the rest would be garbage."""

    def end(self, *, by_reset: bool) -> None:
        for writer in (self.client, self.server):
            if by_reset:
                with suppress(OSError):
                    plug = writer.get_extra_info("socket")
                    plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            else:
                writer.close()


class Proxy:
    """A context manager that listens on 127.0.0.1:`port`, or where `listening` does, and leads to `upstream`."""

    def __init__(self, upstream: int, *, port: int = 0, listening: socket.socket | None = None) -> None:
        self.upstream = upstream
        self.port = port
        self._listening = listening
        self.connections = 0
        """How many were made so far."""
        self.lost = 0
        """How many replies `lose_reply` has turned into resets."""
        self._links: set[_Link] = set()
        self._mode: Literal["forward", "stall", "swallow", "refuse"] = "forward"
        self._delay = 0.0
        self._lose = 0
        self._lose_to = b""
        self._loop = asyncio.new_event_loop()
        self._open = asyncio.Event()
        self._thread = Thread(target=self._loop.run_forever, name=f"proxy to {upstream}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def forward(self) -> None:
        """Heal everything."""

        def heal() -> None:
            self._delay, self._lose = 0.0, 0
            self._set("forward")

        self._do(heal)

    def stall(self) -> None:
        """Hold back every byte until `forward`."""
        self._do(lambda: self._set("stall"))

    def swallow(self) -> None:
        """Throw replies away until `forward`."""
        self._do(lambda: self._set("swallow"))

    def refuse(self) -> None:
        """Reset everybody until `forward`."""
        self._do(lambda: self._set("refuse"))

    def delay(self, seconds: float) -> None:
        """Deliver replies that much later until `forward`."""
        self._do(lambda: setattr(self, "_delay", seconds))

    def lose_reply(self, times: int = 1, *, to: bytes = b"") -> None:
        """Let the server do what it is asked, and reset the connection instead of delivering its reply."""

        def arm() -> None:
            self._lose, self._lose_to = times, to

        self._do(arm)

    def reset(self) -> None:
        """End every live connection by RST."""
        self._do(lambda: self._end_all(by_reset=True))

    def cut(self) -> None:
        """End every live connection in an orderly way."""
        self._do(lambda: self._end_all(by_reset=False))

    def _do(self, action: Callable[[], None]) -> None:
        """Run `action` on the loop, where the links live, and wait until it is done."""

        async def act() -> None:
            action()

        asyncio.run_coroutine_threadsafe(act(), self._loop).result(10)

    def _set(self, mode: Literal["forward", "stall", "swallow", "refuse"]) -> None:
        self._mode = mode
        if mode == "stall":
            self._open.clear()
        else:
            self._open.set()
        for link in list(self._links):
            if mode == "refuse" or (mode == "forward" and link.torn):
                link.end(by_reset=True)

    def _end_all(self, *, by_reset: bool) -> None:
        for link in list(self._links):
            link.end(by_reset=by_reset)

    async def _listen(self) -> None:
        self._open.set()
        if self._listening is not None:
            self._server = await asyncio.start_server(self._serve, sock=self._listening)
        else:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _shut(self) -> None:
        self._server.close()
        self._end_all(by_reset=True)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        link = _Link(writer, writer)
        try:
            await self._open.wait()
            if self._mode == "refuse":
                raise ConnectionRefusedError
            server_reader, link.server = await asyncio.open_connection("127.0.0.1", self.upstream)
            self._links.add(link)
            await asyncio.gather(self._requests(reader, link), self._replies(server_reader, link))
            link.end(by_reset=False)
        except (OSError, asyncio.CancelledError):  # either end is gone, or the proxy goes
            link.end(by_reset=True)
        finally:
            self._links.discard(link)

    async def _requests(self, reader: asyncio.StreamReader, link: _Link) -> None:
        while data := await reader.read(_PIECE):
            await self._open.wait()
            link.asked |= self._lose > 0 and self._lose_to in data
            link.server.write(data)
            await link.server.drain()
        link.server.close()

    async def _replies(self, reader: asyncio.StreamReader, link: _Link) -> None:
        while data := await reader.read(_PIECE):
            if self._delay:
                await asyncio.sleep(self._delay)
            await self._open.wait()
            asked, link.asked = link.asked, False
            if asked and self._lose > 0:
                self._lose -= 1
                self.lost += 1
                link.end(by_reset=True)
                return
            if self._mode == "swallow" or link.torn:
                link.torn = True
                continue
            link.client.write(data)
            await link.client.drain()
        link.client.close()
