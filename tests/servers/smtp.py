"""A mail server with a journal: `python -m tests.servers.smtp --port N --journal FILE [--refuse-domain D …]`.

It takes mail for everybody and writes one JSON line for each message and recipient before it confirms it:
`{key, at, rcpt, sender, message_id, subject, list_unsubscribe, list_unsubscribe_post, size}`, `key` being
the Message-ID. A line is one `write` to a file opened for appending, so it is whole and survives the killing
of this process.

It speaks EHLO, PIPELINING, SIZE, STARTTLS and AUTH (PLAIN, LOGIN, CRAM-MD5, XOAUTH2), and some ten thousand messages
a second.
In a test `with SmtpServer() as server:` runs one in a thread; `server.messages` is what it took, and rules
make it fail:

| action | at stage | what the client sees |
|---|---|---|
| `"550 5.1.1 no such user"` | any | that reply instead of the usual one; after 421 the connection closes |
| `"stall"` | any | nothing more on this connection |
| `"reset"`, `"close"` | any | RST, or an orderly end, instead of the reply |
| `"accept, stall"`, `"accept, reset"` | message | it is in the journal, but nobody confirms it |

Stages: `greeting`, `ehlo`, `auth`, `mail`, `rcpt`, `data` (the command), `content` (its first bytes),
`message` (after the final dot), `noop`.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hmac
import re
import socket
import struct
from threading import Thread
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

import uvloop

from tests.servers.mailbox import Mailbox, Options, Rule, Stage, Taken

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["Rule", "SmtpServer", "Taken"]

_PATH = re.compile(rb"<([^>]*)>")
_SIZE = re.compile(rb"SIZE=(\d+)")
_END = b"\r\n.\r\n"
_USERNAME, _PASSWORD = b"334 VXNlcm5hbWU6\r\n", b"334 UGFzc3dvcmQ6\r\n"
_CHALLENGE = b"<1896.697170952@sink.example>"


class Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, box: Mailbox) -> None:
        self._box = box
        self._transport: asyncio.Transport
        self._buffer = b""
        self._out: list[bytes] = []
        self._reading: Callable[[], bool] = self._command
        self._silent = False
        self._secure = box.options.implicit_tls
        self._user: str | None = None
        self._sender: str | None = None
        self._recipients: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: a client is there."""
        transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self._transport = transport
        self._box.connections.add(self)
        self._box.stats["connections"] += 1
        self._box.stats["most at once"] = max(self._box.stats["most at once"], len(self._box.connections))
        if len(self._box.connections) > self._box.options.connections:
            self._out.append(b"421 4.7.0 too many connections\r\n")
            self._end()
            return
        self._reply("greeting", b"", b"220 sink.example ESMTP")
        self._flush()

    def connection_lost(self, error: Exception | None) -> None:
        """asyncio: the client is gone."""
        self._box.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes came."""
        if self._silent:
            return
        self._box.stats["groups"] += 1
        self._buffer = self._buffer + data if self._buffer else data
        while self._buffer and not self._silent and self._reading():
            pass
        self._flush()

    def _flush(self) -> None:
        if not self._out:
            return
        reply = b"".join(self._out)
        self._out.clear()
        latency = self._box.options.latency
        if latency:
            asyncio.get_running_loop().call_later(latency, self._write, reply)
        else:
            self._write(reply)

    def _write(self, reply: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(reply)

    def _reply(self, stage: Stage, line: bytes, usual: bytes) -> bool:
        """Reply as usual, or as a rule has it; whether it was as usual."""
        action = self._box.rule_for(stage, line) if self._box.rules else None
        if action is None:
            self._out.append(usual + b"\r\n")
            return True
        self._obey(action)
        return False

    def _obey(self, action: str) -> None:
        self._box.stats["faults"] += 1
        if action[0].isdigit():
            self._out.append(action.encode() + b"\r\n")
            if action.startswith("421"):
                self._end()
        elif action.endswith("stall"):
            self._flush()
            self._silent = True
        else:
            self._flush()
            self._end(by_reset=action.endswith("reset"))

    def _end(self, *, by_reset: bool = False) -> None:
        self._flush()
        self._silent = True
        if by_reset:
            plug = self._transport.get_extra_info("socket")
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()
        else:
            self._transport.close()

    def _command(self) -> bool:
        line, end, rest = self._buffer.partition(b"\n")
        if not end:
            return False
        self._buffer = rest
        line = line.rstrip(b"\r")
        verb = line[:4].upper()
        handler = self._VERBS.get(verb)
        if handler is None:
            self._out.append(b"500 5.5.2 what is that?\r\n")
        else:
            handler(self, line)
        return True

    def _ehlo(self, line: bytes) -> None:
        options = self._box.options
        offered = [b"sink.example", b"8BITMIME", f"SIZE {options.size}".encode()]
        if options.pipelining:
            offered.append(b"PIPELINING")
        if options.tls is not None and not self._secure:
            offered.append(b"STARTTLS")
        if options.users:
            offered.append(f"AUTH {options.mechanisms}".encode())
        lines = [b"250-" + word for word in offered]
        lines[-1] = b"250 " + offered[-1]
        self._sender, self._recipients = None, []
        self._reply("ehlo", line, b"\r\n".join(lines))

    def _helo(self, line: bytes) -> None:
        self._sender, self._recipients = None, []
        self._reply("ehlo", line, b"250 sink.example")

    def _starttls(self, line: bytes) -> None:
        if self._box.options.tls is None or self._secure:
            self._out.append(b"502 5.5.1 no\r\n")
            return
        self._out.append(b"220 2.0.0 go ahead\r\n")
        self._flush()
        self._buffer = b""
        task = asyncio.get_running_loop().create_task(self._upgrade())
        self._tasks.add(task)

    async def _upgrade(self) -> None:
        context = self._box.options.tls
        assert context is not None
        try:
            transport = await asyncio.get_running_loop().start_tls(
                self._transport, self, context, server_side=True
            )
        except OSError:
            self._transport.abort()
            return
        transport = cast("asyncio.Transport", transport)
        self._transport = transport
        self._secure = True
        self._box.stats["tls"] += 1

    def _auth(self, line: bytes) -> None:
        words = line.split()
        mechanism = words[1].upper().decode() if len(words) > 1 else ""
        initial = words[2] if len(words) > 2 else None
        strict = self._box.options.strict_login
        self._box.stats[f"auth {mechanism}"] += 1
        if mechanism not in self._box.options.mechanisms.split():
            self._out.append(b"504 5.5.4 which?\r\n")
        elif mechanism == "PLAIN" and initial is not None:
            _, name, password = base64.b64decode(initial).decode().split("\0")
            self._login(name, password)
        elif mechanism == "XOAUTH2" and initial is not None:
            self._token(base64.b64decode(initial).decode())
        elif mechanism == "CRAM-MD5":
            self._out.append(b"334 " + base64.b64encode(_CHALLENGE) + b"\r\n")
            self._reading = self._digest
        elif mechanism == "LOGIN" and initial is not None and strict[:1].isdigit():
            self._out.append(strict.encode() + b"\r\n")
        elif mechanism == "LOGIN":
            given = [base64.b64decode(initial).decode()] if initial is not None and not strict else []
            self._out.append(_PASSWORD if given else _USERNAME)
            self._reading = lambda: self._dialogue(given)
        else:
            self._out.append(b"501 5.5.4 how?\r\n")

    def _token(self, given: str) -> None:
        name, _, token = given.strip("\1").removeprefix("user=").partition("\1auth=Bearer ")
        if self._box.options.users.get(name) == token:
            self._login(name, token)
            return
        self._out.append(b"334 " + base64.b64encode(b'{"status":"401","schemes":"bearer"}') + b"\r\n")
        self._reading = lambda: self._refused(b"535 5.7.8 the token is not valid")

    def _line(self) -> bytes | None:
        line, end, rest = self._buffer.partition(b"\r\n")
        if not end:
            return None
        self._buffer = rest
        return line

    def _refused(self, reply: bytes) -> bool:
        if self._line() is None:
            return False
        self._reading = self._command
        self._reply("auth", b"", reply)
        return True

    def _digest(self) -> bool:
        line = self._line()
        if line is None:
            return False
        self._reading = self._command
        name, _, digest = base64.b64decode(line).decode().rpartition(" ")
        password = self._box.options.users.get(name, "")
        good = hmac.new(password.encode(), _CHALLENGE, "md5").hexdigest() == digest
        self._login(name, password if good else f"not {password}")
        return True

    def _dialogue(self, given: list[str]) -> bool:
        line = self._line()
        if line is None:
            return False
        given.append(base64.b64decode(line).decode())
        if len(given) == 1:
            self._out.append(_PASSWORD)
        else:
            self._reading = self._command
            self._login(*given)
        return True

    def _login(self, name: str, password: str) -> None:
        good = self._box.options.users.get(name) == password
        usual = b"235 2.7.0 welcome" if good else b"535 5.7.8 who are you?"
        if self._reply("auth", name.encode(), usual) and good:
            self._user = name

    def _mail(self, line: bytes) -> None:
        if self._sender is not None:
            self._out.append(b"503 5.5.1 one at a time\r\n")
            return
        if self._box.options.users and self._user is None:
            self._out.append(b"530 5.7.0 log in first\r\n")
            return
        path = _PATH.search(line)
        size = _SIZE.search(line)
        if size and int(size.group(1)) > self._box.options.size:
            self._out.append(b"552 5.3.4 too big\r\n")
        elif path and self._reply("mail", line, b"250 2.1.0 Ok"):
            self._sender, self._recipients = path.group(1).decode(), []

    def _rcpt(self, line: bytes) -> None:
        path = _PATH.search(line)
        if self._sender is None or path is None:
            self._out.append(b"503 5.5.1 MAIL first\r\n")
            return
        address = path.group(1).decode()
        domain = address.rpartition("@")[2]
        options = self._box.options
        if domain in options.refuse_domains:
            self._out.append(b"550 5.1.1 no such user\r\n")
        elif domain in options.defer_domains and address not in self._box.deferred:
            self._box.deferred.add(address)
            self._out.append(b"451 4.2.0 greylisted\r\n")
        elif self._reply("rcpt", line, b"250 2.1.5 Ok"):
            self._recipients.append(address)

    def _data(self, line: bytes) -> None:
        if not self._recipients and not self._box.options.lenient:
            self._out.append(
                b"503 5.5.1 RCPT first\r\n" if self._sender is None else b"554 5.5.1 no valid recipients\r\n"
            )
        elif self._reply("data", ",".join(self._recipients).encode(), b"354 go on"):
            self._reading = self._content
            self._buffer = b"\r\n" + self._buffer  # so that a first line of one dot is found as well

    def _content(self) -> bool:
        if self._box.rules and len(self._buffer) > len(_END):
            action = self._box.rule_for("content", ",".join(self._recipients).encode())
            if action is not None:
                self._obey(action)
                if action[0].isdigit():
                    self._silent = True  # who answers before the end takes nothing more
                return False
        end = self._buffer.find(_END)
        if end < 0:
            return False
        raw = self._buffer[: end + 2].replace(b"\r\n.", b"\r\n")[2:]  # RFC 5321 §4.5.2
        self._buffer = self._buffer[end + len(_END) :]
        self._reading = self._command
        self._finish(raw)
        return True

    def _finish(self, raw: bytes) -> None:
        sender, recipients = self._sender or "", self._recipients
        self._sender, self._recipients = None, []
        box = self._box
        if not recipients:
            self._out.append(b"554 5.5.1 no valid recipients\r\n")
            return
        action = box.rule_for("message", ",".join(recipients).encode()) if box.rules else None
        if action is not None:
            if action.startswith("accept"):
                box.take(sender, recipients, raw)
            self._obey(action)
            return
        box.take(sender, recipients, raw)
        self._out.append(b"250 2.0.0 Ok: queued as %d\r\n" % box.stats["accepted"])

    def _rset(self, line: bytes) -> None:
        self._sender, self._recipients = None, []
        self._out.append(b"250 2.0.0 Ok\r\n")

    def _noop(self, line: bytes) -> None:
        self._reply("noop", line, b"250 2.0.0 Ok")

    def _quit(self, line: bytes) -> None:
        self._box.stats["quits"] += 1
        self._out.append(b"221 2.0.0 Bye\r\n")
        self._end()

    _VERBS: ClassVar[dict[bytes, Callable[[Connection, bytes], None]]] = {
        b"EHLO": _ehlo,
        b"HELO": _helo,
        b"STAR": _starttls,
        b"AUTH": _auth,
        b"MAIL": _mail,
        b"RCPT": _rcpt,
        b"DATA": _data,
        b"RSET": _rset,
        b"NOOP": _noop,
        b"QUIT": _quit,
    }


async def _serve(box: Mailbox, port: int) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    tls = box.options.tls if box.options.implicit_tls else None
    return await loop.create_server(lambda: Connection(box), "127.0.0.1", port, ssl=tls, backlog=1024)


class SmtpServer:
    """A context manager that runs a server on 127.0.0.1 in a thread. Its rules may be changed at any time."""

    def __init__(self, *, port: int = 0, journal: str | None = None, **options: Any) -> None:
        self._box = Mailbox(Options(**options), journal)
        self._wanted = port
        self.port = port
        self._loop = uvloop.new_event_loop()
        self._thread = Thread(target=self._run, name="smtp-server", daemon=True)
        self.running = False

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(_serve(self._box, self._wanted), self._loop).result(5)
        self.port = self._server.sockets[0].getsockname()[1]
        self.running = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.running = False
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()
        self._box.close()

    async def _stop(self) -> None:
        self._server.close()
        for connection in list(self._box.connections):
            connection._transport.abort()

    def rule(self, stage: Stage, action: str, **options: Any) -> None:
        """Fail from now on, see `Rule`."""
        self._box.rules.append(Rule(stage, action, **options))

    def heal(self) -> None:
        """No rule from now on, and no delay."""
        self._box.rules.clear()
        self._box.options.latency = 0.0

    def delay(self, seconds: float) -> None:
        """Take that long for every reply from now on."""
        self._box.options.latency = seconds

    def drop_connections(self) -> None:
        """Close every connection, as a server does that found them idle for too long."""

        async def drop() -> None:
            for connection in list(self._box.connections):
                connection._transport.close()

        asyncio.run_coroutine_threadsafe(drop(), self._loop).result(5)

    @property
    def messages(self) -> list[Taken]:
        """What was accepted, in order."""
        return self._box.messages

    @property
    def stats(self) -> Counter[str]:
        """connections, most at once, accepted, faults, tls, quits, groups (of commands), and `auth` by mechanism."""
        return self._box.stats


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--journal", required=True)
    parser.add_argument("--refuse-domain", action="append", default=[], help="550 for every recipient there")
    parser.add_argument(
        "--defer-domain", action="append", default=[], help="451 once for each recipient there"
    )
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each reply")
    parser.add_argument("--no-pipelining", action="store_true")
    given = parser.parse_args()
    options = Options(
        pipelining=not given.no_pipelining,
        latency=given.latency,
        refuse_domains=frozenset(given.refuse_domain),
        defer_domains=frozenset(given.defer_domain),
        keep=False,
    )

    async def serve() -> None:
        server = await _serve(Mailbox(options, given.journal), given.port)
        await server.serve_forever()

    uvloop.run(serve())


if __name__ == "__main__":
    main()
