"""A provider over HTTP with a journal: `python -m tests.servers.http --port N --journal FILE [--recognise]`.

Every POST is a message: one JSON line `{key, at, path, body, repeat}` is appended before the answer leaves,
`key` being the Idempotency-Key header. A line is one `write` to a file opened for appending, so it is whole
and survives the killing of this process (not a power cut: nothing is fsynced). With `--recognise` a key seen
before is answered as before and marked `repeat`: a provider that honours idempotency keys.

Faults are set on `PUT /-/fault` as a JSON object (see `Fault`), removed with `DELETE /-/fault`, or asked for
in the query of one request (`POST /send?kind=reset`). `GET /-/stats` counts what came in.

| kind | in the journal | what the client sees |
|---|---|---|
| `status` | no | `status` (429, 500 …), with Retry-After when `retry_after` is set |
| `stall` | no | nothing for `seconds`, then 503 |
| `reset` | no | RST instead of an answer |
| `slow` | yes | the usual answer after `seconds` |
| `accept_then_stall` | yes | nothing for `seconds`, then the connection closes |
| `accept_then_reset` | yes | RST instead of an answer |
| `garbage` | yes | 200 with a body that is not JSON |
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import struct
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args
from urllib.parse import parse_qsl, urlsplit

import httptools
import orjson
import uvloop

Kind = Literal["status", "stall", "reset", "slow", "accept_then_stall", "accept_then_reset", "garbage"]
ACCEPTING = ("slow", "accept_then_stall", "accept_then_reset", "garbage")


@dataclass
class Fault:
    """What goes wrong, and for whom."""

    kind: Kind
    status: int = 500
    retry_after: float | None = None
    """Seconds."""
    seconds: float = 30.0
    times: int | None = None
    """How many messages it meets; None: all until it is removed."""
    every: int = 1
    """It meets every n-th message only."""
    match: str = ""
    """It meets messages whose key or body contains this."""

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"kind: {self.kind!r} is none of {', '.join(get_args(Kind))}")

    @classmethod
    def of_query(cls, query: dict[str, str]) -> Fault:
        """From one request's query, where every value is text."""
        numbers: dict[str, Any] = {
            name: float(query[name]) for name in ("retry_after", "seconds") if name in query
        }
        return cls(query["kind"], status=int(query.get("status", 500)), **numbers)  # type: ignore[arg-type]


class Provider:
    """The journal, the fault in force, and what was counted; shared by all connections."""

    def __init__(self, journal: str, *, recognise: bool) -> None:
        self._file = os.open(journal, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o644)
        self._recognise = recognise
        self._known: set[str] = set()
        self._fault: Fault | None = None
        self._candidates = 0
        self.stats: Counter[str] = Counter()

    def control(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        """Answer a request to `/-/…`: status and JSON."""
        if path == "/-/stats" and method == "GET":
            return 200, self.stats
        if path == "/-/fault" and method in ("PUT", "DELETE"):
            try:
                self._fault = Fault(**json.loads(body)) if method == "PUT" else None
            except (TypeError, ValueError) as error:
                return 400, {"message": str(error)}
            self._candidates = 0
            return 200, {}
        return 404, {"message": f"there is no {method} {path}"}

    def fault_for(self, key: str, body: bytes) -> Fault | None:
        """The fault in force, if it meets this message."""
        fault = self._fault
        if fault is None or (fault.match and fault.match not in key and fault.match.encode() not in body):
            return None
        self._candidates += 1
        if self._candidates % fault.every:
            return None
        if fault.times is not None:
            fault.times -= 1
            if fault.times <= 0:
                self._fault = None
        return fault

    def accept(self, key: str, path: str, body: bytes, traceparent: str = "") -> bytes:
        """Append to the journal; the JSON that answers it."""
        repeat = self._recognise and key in self._known
        self._known.add(key)
        self.stats["repeated" if repeat else "accepted"] += 1
        entry = {
            "key": key,
            "at": time.time(),
            "path": path,
            "body": body.decode(errors="replace"),
            "repeat": repeat,
            "traceparent": traceparent,
        }
        os.write(self._file, orjson.dumps(entry) + b"\n")
        return orjson.dumps({"id": key})


class Connection(asyncio.Protocol):
    """One client's connection. A client sends its next request when it has the answer (no pipelining)."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._target = b""
        self._key = self._traceparent = ""
        self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: a client is there."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self._provider.stats["connections"] += 1

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes came."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    def on_message_begin(self) -> None:
        """httptools: a request begins."""
        self._target, self._body = b"", b""
        self._key = self._traceparent = ""

    def on_url(self, url: bytes) -> None:
        """httptools: (a piece of) the request's target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """httptools: one header."""
        if name.lower() == b"idempotency-key":
            self._key = value.decode("latin-1")
        elif name.lower() == b"traceparent":
            self._traceparent = value.decode("latin-1")
        elif name.lower() == b"expect":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """httptools: a piece of the body."""
        self._body += body

    def on_message_complete(self) -> None:
        """httptools: the request is whole."""
        url = urlsplit(self._target.decode("latin-1"))
        method = self._parser.get_method().decode()
        if url.path.startswith("/-/"):
            status, answer = self._provider.control(method, url.path, self._body)
            self._answer(status, orjson.dumps(answer))
        elif method != "POST":
            self._answer(405, b'{"message":"a message is a POST"}')
        else:
            query = dict(parse_qsl(url.query))
            fault = (
                Fault.of_query(query) if "kind" in query else self._provider.fault_for(self._key, self._body)
            )
            self._message(url.path, fault)

    def _message(self, path: str, fault: Fault | None) -> None:
        self._provider.stats["requests"] += 1
        if fault is None:
            self._answer(200, self._provider.accept(self._key, path, self._body, self._traceparent))
            return
        self._provider.stats["faults"] += 1
        answer = (
            self._provider.accept(self._key, path, self._body, self._traceparent)
            if fault.kind in ACCEPTING
            else b""
        )
        later = asyncio.get_running_loop().call_later
        match fault.kind:
            case "status":
                self._answer(fault.status, b'{"message":"as it was told"}', retry_after=fault.retry_after)
            case "stall":
                later(fault.seconds, self._answer, 503, b'{"message":"stalled"}')
            case "slow":
                later(fault.seconds, self._answer, 200, answer)
            case "accept_then_stall":
                later(fault.seconds, self._transport.close)
            case "garbage":
                self._answer(200, b"\xff<not json")
            case "reset" | "accept_then_reset":
                self._reset()

    def _answer(self, status: int, body: bytes, *, retry_after: float | None = None) -> None:
        if self._transport.is_closing():
            return
        head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        if retry_after is not None:
            head += f"Retry-After: {retry_after:g}\r\n"
        if not self._parser.should_keep_alive():
            head += "Connection: close\r\n"
        self._transport.write(head.encode() + b"\r\n" + body)
        if not self._parser.should_keep_alive():
            self._transport.close()

    def _reset(self) -> None:
        plug = self._transport.get_extra_info("socket")
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()


async def serve(port: int, provider: Provider) -> None:
    """Serve on 127.0.0.1 until cancelled."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(provider), "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--journal", required=True)
    parser.add_argument("--recognise", action="store_true", help="deliver every idempotency key once")
    options = parser.parse_args()
    uvloop.run(serve(options.port, Provider(options.journal, recognise=options.recognise)))


if __name__ == "__main__":
    main()
