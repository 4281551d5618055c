"""A provider that answers as real ones do: `python -m tests.servers.provider RULES`, RULES being JSON.

    {"rate": 20}                          # so many messages a second, else `over` in reply to the content
    {"anvil": 5, "per": 60}               # so many a minute, else `over` in reply to MAIL, as Postfix counts (below)
    {"quota": 30, "refusals": 3}          # so many, then `over` to the next messages, so many times
    {"always": "553 …", "at": "mail"}     # the same reply to everybody
    {"poison": "x@d.example"}             # RCPT of this one is answered 421, and the connection closed
    {"http": {"status": 429}, "rate": 20} # an HTTP API, whose refusals have a status, `headers` and a JSON `body`

Postfix counts from the first MAIL of a time on, refused ones as well, and begins a new time with the first behind its
end (anvil(8)); what was pipelined behind a refused MAIL it answers with 503, and after twenty errors it says 421 and
closes the connection. The bytes are those of Postfix 3.7.

It prints its port, and at every line of its standard input what it took: `{"taken": [addresses], "refused": n,
"seconds": n}`, these being the seconds in which anybody asked it to take a message.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import deque
from typing import Any

_ERRORS = 20
OVER = "454 Throttling failure: Maximum sending rate exceeded"


class Provider:
    """What it takes, and what it refuses."""

    def __init__(self, rules: dict[str, Any]) -> None:
        self.rules = rules
        self.at = rules.get("at", "mail" if "anvil" in rules else "content")
        self._counted, self._counts_from = 0, 0.0
        self.taken: list[str] = []
        self.refused = 0
        self.busy: set[int] = set()
        self._times: deque[float] = deque()

    def refusal(self, stage: str, address: str | None = None) -> str | None:
        """The reply that refuses at a stage; None: it goes on."""
        rules = self.rules
        if stage == "rcpt" and address is not None and address == rules.get("poison"):
            return "421 4.7.0 try again later"
        if stage != self.at:
            return None
        self.busy.add(int(time.monotonic()))
        refused = rules.get("always")
        over = rules.get("over", OVER)
        if "rate" in rules:
            now = time.monotonic()
            while self._times and now - self._times[0] >= rules.get("per", 1):
                self._times.popleft()
            refused = over if len(self._times) >= rules["rate"] else None
            if refused is None:
                self._times.append(now)
        if "anvil" in rules:
            now = time.monotonic()
            if now - self._counts_from >= rules["per"]:
                self._counted, self._counts_from = 0, now
            self._counted += 1
            refused = over if self._counted > rules["anvil"] else None
        if "quota" in rules and len(self.taken) >= rules["quota"] and self.refused < rules["refusals"]:
            refused = over
        self.refused += refused is not None
        return refused

    async def serve(  # noqa: C901 - one branch a command
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """One client."""
        address, begun, errors = "", False, 0

        def say(reply: str) -> None:
            writer.write(reply.encode() + b"\r\n")

        say("220 provider.example")
        while line := await reader.readline():
            verb = line[:4].upper()
            reply = "250 2.0.0 ok"
            if verb == b"EHLO":
                reply = "250-provider.example\r\n250-SIZE 1000000\r\n250 PIPELINING"
            elif verb == b"MAIL":
                address = ""
                reply = self.refusal("mail") or reply
                begun = reply.startswith("2")
            elif verb == b"RCPT":
                address = line.decode().partition("<")[2].partition(">")[0]
                reply = (
                    (self.refusal("rcpt", address) or reply)
                    if begun
                    else "503 5.5.1 Error: need MAIL command"
                )
                address = address if reply.startswith("2") else ""
            elif verb == b"DATA":
                reply = "354 go on" if address else "503 5.5.1 Error: need RCPT command"
            elif verb == b"QUIT":
                reply = "221 bye"
            errors += reply.startswith(("4", "5"))
            if "anvil" in self.rules and errors > _ERRORS:
                reply = "421 4.7.0 mx.example Error: too many errors"
            say(reply)
            if reply[:3] in ("421", "221"):
                break
            if reply.startswith("354"):
                await writer.drain()
                while (await reader.readline()) not in (b".\r\n", b""):
                    pass
                refused = self.refusal("content")
                if refused is None:
                    self.taken.append(address)
                say(refused or "250 2.0.0 queued")
            await writer.drain()
        await writer.drain()
        writer.close()

    async def serve_http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client of an HTTP API: each POST is a message, and its body says to whom (`to`)."""
        refuses = self.rules["http"]
        while line := await reader.readline():
            length = 0
            while (header := await reader.readline()).strip():
                name, _, value = header.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            body = await reader.readexactly(length)
            to = json.loads(body)["to"] if line.startswith(b"POST ") else ""
            refused = to == self.rules.get("poison") or (bool(to) and self.refusal("content") is not None)
            if to and not refused:
                self.taken.append(to)
            status = refuses["status"] if refused else 200
            said = json.dumps(refuses.get("body", {}) if refused else {"id": "1"}).encode()
            headers = {"Content-Type": "application/json", "Content-Length": len(said)}
            headers |= refuses.get("headers", {}) if refused else {}
            head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            writer.write(f"HTTP/1.1 {status} -\r\n{head}\r\n".encode() + said)
            await writer.drain()
        writer.close()


async def main() -> None:
    """Serve until standard input ends."""
    provider = Provider(json.loads(sys.argv[1]))
    serve = provider.serve_http if "http" in provider.rules else provider.serve
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - whoever started it reads the port
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        told = {"taken": provider.taken, "refused": provider.refused, "seconds": len(provider.busy)}
        print(json.dumps(told), flush=True)  # noqa: T201
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
