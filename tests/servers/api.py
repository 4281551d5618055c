"""A provider's HTTP API as a process: `python -m tests.servers.api --speak telegram --port N --control M`.

It speaks one of `tests.servers.dialects` on `port` and does on `control` as it is told:

| request | what it does |
|---|---|
| `PUT /scenario {"name": …, "seconds"?: …, "times"?: …}` | behaves so from now on |
| `PUT /open {"open": true or false}` | serves, or refuses connections and resets those it has |
| `GET /taken` | every message it took, in order: `{key, to, text, headers, path}` |
| `GET /wait?requests=N` | answers as soon as N requests have come since the last `POST /forget` |
| `GET /stats` | `{requests, connections, answered}`: the last are those of which it took nothing for their own sake |
| `POST /drop` | ends every connection in an orderly way, as a server does that found them idle |
| `POST /forget` | an empty journal, and healthy |

Scenarios: `healthy`; `slow` (the usual answer after `seconds`); `reset` (RST instead of an answer, nothing taken);
`stall` (no answer, nothing taken); `accepted_in_silence` (taken, no answer); `accepted_then_reset`; `garbage` (taken,
answered with what is not HTTP); `half` (taken, and of the answer only the head comes); and whatever the dialect can
refuse. What is held back is never answered: a client that waits runs into its own time-out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import struct
from collections import Counter
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

import httptools
import uvloop

from tests.servers.completions import Completions
from tests.servers.dialects import DIALECTS as CHANNELS
from tests.servers.dialects import Asked, Dialect, Reply, Taken, TakenBatch
from tests.servers.mail_apis import MAIL_APIS

__all__ = ["main"]

DIALECTS: dict[str, Dialect] = {**CHANNELS, **MAIL_APIS, Completions.name: Completions()}


class Provider:
    """Journal, scenario and counts; shared by all connections."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.taken: list[dict[str, Any]] = []
        self.stats: Counter[str] = Counter()
        self.connections: set[Connection] = set()
        self.changed = asyncio.Condition()
        self._telling: set[asyncio.Task[None]] = set()
        self._scenario: dict[str, Any] = {"name": "healthy"}

    def behave(self, scenario: dict[str, Any]) -> None:
        self._scenario = dict(scenario)

    def scenario(self) -> tuple[str, float]:
        """The name and seconds in force for the next message."""
        found = self._scenario
        if "times" in found:
            if found["times"] <= 0:
                return "healthy", 0.0
            found["times"] -= 1
        return found["name"], found.get("seconds", 0.05)

    def take(self, asked: Asked, taken: Taken) -> None:
        entry = {"key": taken.key, "to": taken.to, "text": taken.text}
        self.taken.append({**entry, "headers": asked.headers, "path": asked.path})

    def note_request(self) -> None:
        self.stats["requests"] += 1
        self.tell()

    def tell(self) -> None:
        """Let those who wait look again."""

        async def notify() -> None:
            async with self.changed:
                self.changed.notify_all()

        task = asyncio.get_running_loop().create_task(notify())
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    def forget(self) -> None:
        self.taken.clear()
        self.stats.clear()
        self.behave({"name": "healthy"})


class Connection(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, provider: Provider, control: Control | None = None) -> None:
        self._provider = provider
        self._control = control
        self._parser = httptools.HttpRequestParser(self)
        self.transport: asyncio.Transport
        self._target = b""
        self._headers: dict[str, str] = {}
        self._body = b""
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        if self._control is None:
            self._provider.connections.add(self)
            self._provider.stats["connections"] += 1

    def connection_lost(self, error: Exception | None) -> None:
        self._provider.connections.discard(self)
        self._provider.tell()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.close()

    def on_message_begin(self) -> None:
        self._target, self._headers, self._body = b"", {}, b""

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        url = urlsplit(self._target.decode("latin-1"))
        asked = Asked(
            self._parser.get_method().decode(),
            url.path,
            dict(parse_qsl(url.query, keep_blank_values=True)),
            self._headers,
            self._body,
        )
        work = self._command(asked) if self._control is not None else self._message(asked)
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _command(self, asked: Asked) -> None:
        assert self._control is not None
        self._answer(await self._control.obey(asked))

    async def _message(self, asked: Asked) -> None:
        provider = self._provider
        read = provider.dialect.read(asked)
        if isinstance(read, Reply):
            provider.stats["answered"] += 1
            self._answer(read)
            return
        name, seconds = provider.scenario()
        refusal = provider.dialect.refusals.get(name)
        if refusal is None and name not in ("reset", "stall"):
            for taken in read.messages if isinstance(read, TakenBatch) else [read]:
                provider.take(asked, taken)
        provider.note_request()
        if refusal is not None:
            self._answer(refusal)
        elif name == "slow":
            asyncio.get_running_loop().call_later(seconds, self._answer, read.reply)
        elif name in ("reset", "accepted_then_reset"):
            self.reset()
        elif name == "garbage":
            self.transport.write(b"\x00\xffthis is not HTTP\r\n\r\n")
            self.transport.close()
        elif name == "half":
            self.transport.write(f"HTTP/1.1 {read.reply.status} -\r\nContent-Length: 5000\r\n\r\n{{".encode())
        elif name not in ("stall", "accepted_in_silence"):
            self._answer(read.reply)

    def _answer(self, reply: Reply) -> None:
        if self.transport.is_closing():
            return
        body = (
            b""
            if reply.body is None
            else (reply.body.encode() if isinstance(reply.body, str) else json.dumps(reply.body).encode())
        )
        head = [f"HTTP/1.1 {reply.status} -", f"Content-Length: {len(body)}"]
        head += [f"{name}: {value}" for name, value in reply.headers.items()]
        self.transport.write("\r\n".join([*head, "", ""]).encode() + body)

    def reset(self) -> None:
        plug = self.transport.get_extra_info("socket")
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


class Control:
    """Obeys the test."""

    def __init__(self, provider: Provider, port: int) -> None:
        self._provider = provider
        self._port = port
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        if self._server is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(
                lambda: Connection(self._provider), "127.0.0.1", self._port, backlog=1024, reuse_address=True
            )

    async def shut(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for connection in list(self._provider.connections):
            connection.reset()

    async def _drop(self) -> None:
        """Close every connection, and wait until the system has told the clients."""
        provider = self._provider
        for connection in list(provider.connections):
            connection.transport.close()
        async with provider.changed:
            await provider.changed.wait_for(lambda: not provider.connections)

    async def obey(self, asked: Asked) -> Reply:
        provider = self._provider
        match asked.method, asked.path:
            case "PUT", "/scenario":
                wanted = asked.json()
                usual = ("healthy", "slow", "reset", "stall", "accepted_in_silence", "accepted_then_reset")
                if wanted["name"] not in (*usual, "garbage", "half", *provider.dialect.refusals):
                    return Reply(400, {"message": f"there is no scenario {wanted['name']!r}"})
                provider.behave(wanted)
            case "PUT", "/open":
                await (self.open() if asked.json()["open"] else self.shut())
            case "GET", "/taken":
                return Reply(200, provider.taken)
            case "GET", "/stats":
                return Reply(200, dict(provider.stats))
            case "GET", "/wait":
                wanted = int(asked.query["requests"])
                async with provider.changed:
                    await provider.changed.wait_for(lambda: provider.stats["requests"] >= wanted)
            case "POST", "/drop":
                await self._drop()
            case "POST", "/forget":
                provider.forget()
                await self.open()
            case _:
                return Reply(404, {"message": f"there is no {asked.method} {asked.path}"})
        return Reply(200, {})


async def serve(dialect: Dialect, port: int, control_port: int) -> None:
    """Serve on 127.0.0.1 until cancelled."""
    provider = Provider(dialect)
    control = Control(provider, port)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(provider, control), "127.0.0.1", control_port)
    await control.open()  # last: whoever finds the provider there finds its control as well
    await server.serve_forever()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--speak", choices=sorted(DIALECTS), required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--control", type=int, required=True)
    options = parser.parse_args()
    uvloop.run(serve(DIALECTS[options.speak], options.port, options.control))


if __name__ == "__main__":
    main()
