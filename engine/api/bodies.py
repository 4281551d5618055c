"""Request bodies: read whole up to a limit, or streamed into a thread in constant memory."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import anyio
import anyio.from_thread
from anyio.to_thread import run_sync
from starlette.requests import ClientDisconnect, Request

from engine.api.errors import BodyTooLarge, BodyTooSlow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import Message, Receive, Scope

__all__ = [
    "LONG_BODY",
    "TEMPLATE_MARKS",
    "USUAL_BODY",
    "USUAL_VALUES",
    "BodyStream",
    "check_values",
    "read_body",
    "with_body",
]

#: Bytes of a JSON body.
USUAL_BODY = 1024 * 1024
#: Bytes where more is needed: a template with its attachments, a mail, a retrigger of 200,000 recipients.
LONG_BODY = 8 * 1024 * 1024
#: JSON values in a body.
USUAL_VALUES = 50_000
#: Outputs and tags of templates in a body: fifty languages of a long mail.
TEMPLATE_MARKS = 10_000
_MARKS = (b"{{", b"{%", b"\\u007b", b"\\u007B")
#: Bytes from which on a body is parsed in a thread: no other request waits for it.
_PARSED_ASIDE = 64 * 1024
#: Seconds that a sender may be silent in the middle of a body.
SILENCE = 60.0


async def read_body(request: Request, *, limit: int = USUAL_BODY) -> bytes:
    """The whole body.

    Raises:
        BodyTooLarge: it is longer than `limit`; what follows is not read.
        BodyTooSlow: it stopped arriving.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        raise BodyTooLarge(f"the body is longer than {limit} bytes")
    chunks: list[bytes] = []
    length = 0
    stream = aiter(request.stream())
    while True:
        chunk = await _next(stream)
        if chunk is None:
            return b"".join(chunks)
        length += len(chunk)
        if length > limit:
            raise BodyTooLarge(f"the body is longer than {limit} bytes")
        chunks.append(chunk)


def check_values(body: bytes, limit: int) -> None:
    """Refuse a JSON body of more values than `limit` before it is parsed: each takes many times its bytes in memory.

    Commas and opening brackets are counted, also those in texts; a body has no more values than that. The marks of
    templates (`{{`, `{%`, however they are escaped) are counted for themselves: each takes long to compile.

    Raises:
        BodyTooLarge: there are more.
    """
    if sum(map(body.count, _MARKS)) > TEMPLATE_MARKS:
        raise BodyTooLarge(f"the body holds more than {TEMPLATE_MARKS} outputs and tags of templates")
    if sum(map(body.count, (b",", b"[", b"{"))) > limit:
        raise BodyTooLarge(f"the body holds more than {limit} values")


class _BodyRequest(Request):
    """A request whose body is in memory."""

    def __init__(self, scope: Scope, receive: Receive, body: bytes) -> None:
        super().__init__(scope, receive)
        self._whole = body

    async def json(self) -> Any:
        """The body, parsed; a long one in a thread.

        Raises:
            json.JSONDecodeError: it is not JSON.
        """
        if len(self._whole) <= _PARSED_ASIDE:
            return await super().json()
        return await run_sync(json.loads, self._whole)


def with_body(request: Request, body: bytes) -> Request:
    """The same request with its body in memory, to be read as JSON whatever its content type says.

    `curl -d` and the Targeting client of today both send JSON, or nothing, as a form.
    """
    headers = [(name, value) for name, value in request.scope["headers"] if name != b"content-type"]
    scope: Scope = {**request.scope, "headers": [*headers, (b"content-type", b"application/json")]}

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return _BodyRequest(scope, receive, body)


class BodyStream:
    """A body that is read in a worker thread while it arrives; it is hashed on the way."""

    def __init__(self, request: Request) -> None:
        self._stream = aiter(request.stream())
        self._digest = hashlib.sha256()

    def chunks(self) -> Iterator[bytes]:
        """The body, as it arrives. Call it in a thread that anyio started."""
        while (chunk := anyio.from_thread.run(self.next)) is not None:
            yield chunk

    async def next(self) -> bytes | None:
        """The next piece; None at the end."""
        chunk = await _next(self._stream)
        if chunk is not None:
            self._digest.update(chunk)
        return chunk

    async def digest(self) -> bytes:
        """The SHA-256 of the whole body; reads what is left of it."""
        while await self.next() is not None:
            pass
        return self._digest.digest()


async def _next(stream: object) -> bytes | None:
    try:
        with anyio.fail_after(SILENCE):
            return await anext(stream)  # type: ignore[call-overload,no-any-return]
    except StopAsyncIteration:
        return None
    except TimeoutError:
        raise BodyTooSlow(f"nothing of the body arrived for {SILENCE:.0f} seconds") from None
    except ClientDisconnect:
        raise BodyTooSlow("the client went away in the middle of the body") from None
