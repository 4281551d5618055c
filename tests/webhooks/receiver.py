"""A webhook receiver: a real HTTP server on a thread, that does as it is told and keeps what it was sent."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any, Self

import orjson
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Call:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes
    status: int
    """What it was answered; 0: nothing."""

    @property
    def payload(self) -> dict[str, Any]:
        return orjson.loads(self.body)

    @property
    def event_id(self) -> str:
        return self.payload["id"]

    @property
    def event(self) -> str:
        return self.payload["event"]

    @property
    def campaign_id(self) -> str | None:
        return self.payload["data"].get("campaignId")


@dataclass
class Receiver:
    """`answer` decides: a status, a URL to redirect to, an Event to stall until, or (status, headers)."""

    answer: Callable[[str, dict[str, Any]], Any] = lambda _path, _payload: 204
    calls: list[Call] = field(default_factory=list)
    connections: int = 0
    lock: Lock = field(default_factory=Lock)

    def __enter__(self) -> Self:
        self._ready = Event()
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(20)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        self._ready.set()
        await self._ended.wait()
        await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.connections += 1
        said = self.answer(request.path, orjson.loads(body or b"{}"))
        status, headers = said if isinstance(said, tuple) else (said, {})
        if isinstance(status, Event):
            self._note(request, body, 0)
            await asyncio.get_running_loop().run_in_executor(None, status.wait, 30)
            return web.Response(status=503)
        if isinstance(status, str):
            headers = {"location": status}
            status = noted = 307
        else:
            noted = status
        self._note(request, body, noted)
        return web.Response(status=status, headers=headers, text="" if status < 300 else "as it was told")

    def _note(self, request: web.Request, body: bytes, status: int) -> None:
        with self.lock:
            self.calls.append(Call(request.path, dict(request.headers), body, status))

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def taken(self, path: str | None = None) -> list[Call]:
        """The calls that were answered 2xx."""
        return [one for one in self.calls if 200 <= one.status < 300 and path in (None, one.path)]
