"""Requests on pooled connections (aiohttp), and what it means when none of them is answered.

When is a message in doubt? From the moment its request is handed to the system until the answer's head has come.
Before that nothing has left: a provider that cannot be reached is Down. A request is never sent twice by itself, also
not where HTTP would allow it: there are gateways that send an SMS on GET.

Nothing of a request shows in a text: its URL may hold a token.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from typing import TYPE_CHECKING, Any

import aiohttp
from yarl import URL

from config.errors import MusterError
from engine.channels.http.answers import Answer
from engine.channels.port import ALLOWED_BY, Deferred, Doubtful, Down
from engine.channels.trust import Trust, TrustError
from engine.kernel import tracing
from engine.kernel.outbound import Guard, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiohttp.abc import AbstractResolver

    from engine.channels.http.request import Request
    from engine.channels.http.settings import Connection

__all__ = ["HttpClient", "Unanswered"]

#: Bytes of an answer that are read, usually; what says whether a message was taken is far shorter.
_ANSWER_LIMIT = 1 << 16
_USER_AGENT = "Muster"
_SYSTEM = Trust()


class Unanswered(MusterError):
    """No answer came; `outcome` says what that means for the message."""

    def __init__(self, outcome: Down | Deferred | Doubtful) -> None:
        super().__init__(f"{outcome.code}: {outcome.text}")
        self.outcome = outcome


class _Flight:
    """How far a request is."""

    __slots__ = ("has_body", "left", "note")

    def __init__(self, note: Callable[[], None], *, has_body: bool) -> None:
        self.note = note
        self.has_body = has_body
        self.left = False

    def leave(self) -> None:
        if not self.left:
            self.left = True
            self.note()


def _nothing() -> None:
    pass


def _traced(headers: Mapping[str, str]) -> Mapping[str, str]:
    """With the traceparent of the wave, unless the request has one of its own."""
    traceparent = tracing.outgoing(current=True)
    return headers if traceparent is None else {"traceparent": traceparent, **headers}


class HttpClient:
    """Sends requests; belongs to the event loop that first uses it.

    Args:
        connection: Timeouts. Its concurrency is the caller's to keep.
        guard: Which addresses may be reached; absent: public ones.
        trust: Which certificates are believed; absent: the system's.
        resolver: Looks names up; absent: the system's.
        answer_limit: Bytes of an answer that are read.
    """

    def __init__(
        self,
        connection: Connection,
        guard: Guard | None = None,
        trust: Trust = _SYSTEM,
        *,
        resolver: AbstractResolver | None = None,
        answer_limit: int = _ANSWER_LIMIT,
    ) -> None:
        self._resolver = resolver
        self._answer_limit = answer_limit
        self._connection = connection
        self._guard = guard or Guard()
        self._trust = trust
        self._connect = connection.connect_timeout.total_seconds()
        self._answer = connection.timeout.total_seconds()
        self._session: aiohttp.ClientSession | None = None
        self._opening: asyncio.Lock | None = None

    async def exchange(self, request: Request, leaving: Callable[[], None] = _nothing) -> Answer:
        """Send a request and wait for its answer, whatever status it has.

        Args:
            leaving: Called when its first byte is about to leave: from then on nobody can know without an answer.

        Raises:
            Unanswered: none came.
        """
        session = await self._opened()
        flight = _Flight(leaving, has_body=bool(request.body))
        try:
            async with session.request(
                request.method,
                URL(request.url, encoded=True),
                headers=_traced(request.headers),
                data=request.body or None,
                allow_redirects=False,
                trace_request_ctx=flight,
            ) as response:
                headers = {name.lower(): value for name, value in response.headers.items()}
                body, whole = await _body(response, self._answer_limit)
                return Answer(response.status, headers, body, whole)
        except (aiohttp.ClientError, OSError, ValueError) as error:  # TimeoutError is an OSError
            raise Unanswered(self._meaning(error, left=flight.left)) from None

    async def close(self) -> None:
        """Close the connections. Safe to call twice."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._opening = self._opening or asyncio.Lock()
            async with self._opening:
                if self._session is None:
                    self._session = await self._open()
        return self._session

    async def _open(self) -> aiohttp.ClientSession:
        verify: ssl.SSLContext | bool = True  # aiohttp's, shared
        try:
            if self._trust.names_some:
                verify = await asyncio.to_thread(self._trust.context)
        except TrustError as error:
            raise Unanswered(Down("HTTP_TLS", str(error))) from None
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(_headers_leave)
        trace.on_request_chunk_sent.append(_body_leaves)
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                ssl=verify,
                ttl_dns_cache=60,
                keepalive_timeout=self._connection.idle_timeout.total_seconds(),
                socket_factory=self._guard.socket,
                resolver=self._resolver,
            ),
            timeout=aiohttp.ClientTimeout(
                total=self._connect + self._answer, sock_connect=self._connect, sock_read=self._answer
            ),
            headers={"User-Agent": _USER_AGENT, "Accept-Encoding": "identity"},
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trace_configs=[trace],
        )
        # aiohttp sends a GET, PUT or DELETE once more when a used connection turns out to be closed, and has no public
        # switch for it. Whether a request is sent again is the doubt policy's to say.
        session._retry_connection = False  # noqa: SLF001
        return session

    def _meaning(self, error: Exception, *, left: bool) -> Down | Deferred | Doubtful:
        timed_out = isinstance(error, TimeoutError)
        if left:
            if timed_out:
                return Doubtful("HTTP_TIMEOUT", f"no answer within {self._answer:g} seconds")
            if isinstance(error, aiohttp.ClientResponseError | aiohttp.ClientPayloadError):
                return Doubtful("HTTP_GARBAGE", "the answer is not HTTP")
            return Doubtful("HTTP_RESET", f"the connection ended before the answer ({_cause(error)})")
        if timed_out:
            return Down("HTTP_TIMEOUT", f"no connection within {self._connect:g} seconds")
        if isinstance(error, aiohttp.ClientConnectorDNSError):
            return Down("HTTP_UNREACHABLE", "the host's name cannot be resolved")
        if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
            return Down("HTTP_TLS", f"no trusted connection ({_cause(error)})")
        if isinstance(error, aiohttp.ClientConnectorError):
            if (refused := refusal(error.os_error)) is not None:
                return Down("HTTP_ADDRESS_REFUSED", f"{refused}; {ALLOWED_BY}")
            return Down("HTTP_UNREACHABLE", f"cannot connect ({_cause(error)})")
        return Deferred("HTTP_RESET", f"the connection ended before the request was sent ({_cause(error)})")


async def _body(response: aiohttp.ClientResponse, limit: int) -> tuple[bytes, bool]:
    """The beginning of an answer's body, and whether the rest failed to come. What its head said stands either way."""
    pieces: list[bytes] = []
    missing = limit
    whole = True
    try:
        while missing > 0 and (piece := await response.content.read(missing)):
            pieces.append(piece)
            missing -= len(piece)
    except (aiohttp.ClientError, OSError):
        whole = False
    if not response.content.at_eof():
        response.close()
    return b"".join(pieces), whole


def _cause(error: Exception) -> str:
    """What the system says, without the URL that aiohttp adds."""
    inner = getattr(error, "os_error", error)
    certificate = getattr(error, "certificate_error", None)
    if certificate is not None:
        return str(getattr(certificate, "verify_message", "") or type(certificate).__name__)
    number = getattr(inner, "errno", None)
    return os.strerror(number) if number and not isinstance(inner, ssl.SSLError) else type(inner).__name__


async def _headers_leave(_session: aiohttp.ClientSession, context: Any, _what: object) -> None:
    flight = context.trace_request_ctx
    if not flight.has_body:  # with one they wait for it, and leave together
        flight.leave()


async def _body_leaves(_session: aiohttp.ClientSession, context: Any, _what: object) -> None:
    context.trace_request_ctx.leave()
