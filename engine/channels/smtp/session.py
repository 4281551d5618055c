"""One SMTP connection, after its handshake.

aiosmtplib greets and secures, `engine.channels.smtp.login` logs in; then this protocol takes over the
transport, because a client that waits for every reply before it sends the next command reaches a fifth of what
PIPELINING (RFC 2920) allows: here a message's last bytes and the next message's MAIL, RCPT and DATA travel
together, so a message costs one round trip.

Whatever ends a connection shows as `Lost` at the next wait for a reply.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from typing import TYPE_CHECKING, cast

import aiosmtplib

from config.errors import MusterError
from engine.channels.port import ALLOWED_BY, Down, Throttled
from engine.channels.smtp.login import Login, LoginError, log_in
from engine.channels.smtp.replies import CLOSING, Reply, outcome_of
from engine.kernel.outbound import refusal

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable

    from engine.answers.classify import Classifier

__all__ = ["ConnectionRefused", "Lost", "Session", "connect"]

_REPLY_LIMIT = 1 << 16
_QUIT_TIMEOUT = 2.0
#: Codes of SMTP replies (RFC 5321 §4.2.1).
_LEAST_REPLY, _MOST_REPLY = 200, 599


class Lost(MusterError):
    """The connection is no more, or the server keeps silent."""

    def __init__(self, reason: str, *, timed_out: bool = False) -> None:
        super().__init__(reason)
        self.timed_out = timed_out


class ConnectionRefused(MusterError):
    """There is no connection to be had; `outcome` says what that means."""

    def __init__(self, outcome: Down | Throttled) -> None:
        super().__init__(outcome.text)
        self.outcome = outcome
        self.crowded = False
        """Others are let in: it is the server's limit."""


class Session(asyncio.Protocol):
    """Writes commands, reads replies."""

    def __init__(self, transport: asyncio.Transport, *, pipelining: bool, size: int | None) -> None:
        self.pipelining = pipelining
        self.size = size
        """Whether MAIL may name a size, and the largest the server takes (0: it does not say)."""
        self.offered = 0
        """Messages that were begun on this connection."""
        self.delivered = 0
        self.dirty = False
        """A transaction is open that goes nowhere: RSET before the next."""
        self.idle_since = 0.0
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._partial = b""
        self._lines: list[bytes] = []
        self._replies: deque[Reply] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._drain: asyncio.Future[None] | None = None
        self._lost: str | None = None
        self._quitting: asyncio.TimerHandle | None = None
        self.closed: asyncio.Future[None] = self._loop.create_future()
        """Done when the connection is given back to the system."""
        transport.set_protocol(self)

    @property
    def usable(self) -> bool:
        """It is there, and silent: a server says 421 of its own accord before it closes an idle one."""
        return self._lost is None and not self._replies and not self._transport.is_closing()

    @property
    def answered_early(self) -> bool:
        """A reply is there before it was asked for."""
        return bool(self._replies)

    def write(self, data: bytes) -> None:
        """Send; a connection that is gone shows at the next `reply`."""
        if self._lost is None and not self._transport.is_closing():
            self._transport.write(data)

    async def reply(self, within: float) -> Reply:
        """The next reply.

        Args:
            within: Seconds.

        Raises:
            Lost: none came.
        """
        if not self._replies:
            self._waiter = self._loop.create_future()
            await self._wait(self._waiter, within)
            self._waiter = None
        return self._replies.popleft()

    async def drained(self, within: float) -> None:
        """Wait until everything written has been handed to the kernel.

        Raises:
            Lost: it will not be.
        """
        if self._lost is None and not self._transport.get_write_buffer_size():
            return
        self._drain = self._loop.create_future()
        self._transport.set_write_buffer_limits(high=0)  # so that `resume_writing` means: nothing is left
        try:
            await self._wait(self._drain, within)
        finally:
            self._drain = None
        self._transport.set_write_buffer_limits()

    async def _wait(self, waiter: asyncio.Future[None], within: float) -> None:
        if self._lost is not None:
            raise Lost(self._lost)
        timer = self._loop.call_later(within, self._expire, waiter, within)
        try:
            await waiter
        finally:
            timer.cancel()

    def quit(self) -> None:
        """Take leave. The server's answer, or two seconds, end the connection; who wants may wait for `closed`."""
        if not self.usable:
            self.abort()
        elif self._quitting is None:
            self._transport.write(b"QUIT\r\n")
            self._quitting = self._loop.call_later(_QUIT_TIMEOUT, self._transport.abort)

    def abort(self) -> None:
        """End it now; what the server has not got it will not get."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """asyncio: replies, or pieces of them."""
        if self._quitting is not None:
            self._transport.close()
            return
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            if line[3:4] == b"-":
                self._lines.append(line[4:])
                continue
            code = line[:3]
            if not code.isdigit():
                self._end("the server does not speak SMTP")
                self.abort()
                return
            text = b" ".join([*self._lines, line[4:]]) if self._lines else line[4:]
            self._lines.clear()
            self._replies.append(Reply(int(code), text))
        if len(self._partial) > _REPLY_LIMIT or len(self._lines) > _REPLY_LIMIT // 64:
            self._end("the server's reply has no end")
            self.abort()
        elif self._replies and self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def eof_received(self) -> None:
        """asyncio: the server closed its side."""
        self._end("the server closed the connection")

    def connection_lost(self, error: Exception | None) -> None:
        """asyncio: it is gone."""
        self._end(f"the connection was lost: {error}" if error else "the server closed the connection")
        if self._quitting is not None:
            self._quitting.cancel()
        if not self.closed.done():
            self.closed.set_result(None)

    def resume_writing(self) -> None:
        """asyncio: everything written is the kernel's."""
        if self._drain is not None and not self._drain.done():
            self._drain.set_result(None)

    def _end(self, reason: str) -> None:
        if self._lost is not None:
            return
        self._lost = reason
        for waiter in (self._waiter, self._drain):
            if waiter is not None and not waiter.done():
                waiter.set_exception(Lost(reason))

    def _expire(self, waiter: asyncio.Future[None], within: float) -> None:
        if not waiter.done():
            waiter.set_exception(Lost(f"no reply within {within:g} seconds", timed_out=True))


async def connect(
    client: aiosmtplib.SMTP,
    open_socket: Callable[[], Awaitable[socket.socket]],
    *,
    within: float,
    classifier: Classifier,
    login: Login | None = None,
    pipelining: bool = True,
    scrub: Callable[[str], str] = str,
) -> Session:
    """Shake hands with `client`'s settings: greeting, EHLO, STARTTLS, login.

    Args:
        client: Not connected yet.
        open_socket: Connects to the server. May raise OSError.
        within: Seconds for all of it.
        classifier: Says what a refusal means.
        login: Who logs in; None: nobody does.
        pipelining: Use it where the server offers it.
        scrub: Takes secrets out of a server's words.

    Raises:
        ConnectionRefused: Throttled when the server asks us to come back later, Down when it is unreachable, is not
            trusted, or does not take the credentials.
    """
    try:
        async with asyncio.timeout(within):
            await client.connect(sock=await open_socket())
            if client.is_ehlo_or_helo_needed:
                await _greet(client)
            if login is not None:
                await log_in(client, login)
    except (aiosmtplib.SMTPException, OSError, ssl.SSLError, ValueError) as error:
        client.close()
        raise ConnectionRefused(_refusal(error, scrub, classifier)) from error
    except BaseException:
        client.close()
        raise
    size = client.esmtp_extensions.get("size")
    return Session(
        cast("asyncio.Transport", client.transport),
        pipelining=pipelining and client.supports_extension("pipelining"),
        size=None if size is None else int(size) if size.isdigit() else 0,
    )


async def _greet(client: aiosmtplib.SMTP) -> None:
    try:
        await client.ehlo()
    except aiosmtplib.SMTPHeloError as error:
        if error.code == CLOSING:
            raise
        await client.helo()  # a server from before 1993


def _refusal(error: Exception, scrub: Callable[[str], str], classifier: Classifier) -> Down | Throttled:
    refused = refusal(error)
    if refused is not None:
        return Down("SMTP_ADDRESS_REFUSED", f"{refused}; {ALLOWED_BY}")
    text = scrub(str(error) or "the server did not answer in time")
    if isinstance(error, aiosmtplib.SMTPResponseException):
        if not _LEAST_REPLY <= error.code <= _MOST_REPLY:  # what another service says is nobody's business
            return Down("SMTP_HANDSHAKE", "the server does not speak SMTP")
        text = scrub(f"{error.code} {error.message}")
        failed_login = isinstance(error, aiosmtplib.SMTPAuthenticationError)
        reply = Reply(error.code, scrub(error.message).encode())
        outcome = outcome_of(reply, "AUTH" if failed_login else "connect", classifier)
        if isinstance(outcome, Throttled):
            return Throttled(f"SMTP_{error.code}", text, outcome.retry_after, quota=outcome.quota)
        return Down("SMTP_LOGIN" if failed_login else f"SMTP_{error.code}", text)
    if isinstance(error, LoginError):
        return Down("SMTP_LOGIN", text)
    if isinstance(error.__cause__, aiosmtplib.SMTPServerDisconnected):
        return Throttled("SMTP_NO_GREETING", text)
    for kind, code in (
        (TimeoutError, "SMTP_TIMEOUT"),
        (ssl.SSLError, "SMTP_TLS"),
        (OSError, "SMTP_UNREACHABLE"),
    ):
        if isinstance(error.__cause__, kind) or isinstance(error, kind):
            return Down(code, text)
    return Down("SMTP_HANDSHAKE", text)
