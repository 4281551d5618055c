"""Both clients behind one face, so that each test is about both."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

import httpx

from muster_client import AsyncMuster, Muster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

__all__ = ["AwaitedFace", "Clock", "Face", "Lines", "World"]


class Clock:
    """Time that passes when somebody sleeps, and a record of how long."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds

    async def asleep(self, seconds: float) -> None:
        self.sleep(seconds)


class Face:
    """The client that waits."""

    def __init__(
        self, url: str, key: str = "k", handler: Callable[..., Any] | None = None, **config: Any
    ) -> None:
        if handler is not None:
            config["transport"] = httpx.MockTransport(handler)
        clock = config.pop("clock", None)
        if clock is not None:
            config |= {"clock": clock, "sleep": self._sleep(clock)}
        self.client: Any = self._make(url, key, **config)

    def _sleep(self, clock: Clock) -> Any:
        return clock.sleep

    def _make(self, url: str, key: str, **config: Any) -> Any:
        return Muster(url, key, **config)

    def __call__(self, name: str, *args: Any, **values: Any) -> Any:
        """`campaign.get`: what it gives; of an iterator: a list of it."""
        found = self._method(name)(*args, **values)
        return list(found) if inspect.isgenerator(found) else found

    def first(self, count: int, name: str, *args: Any, **values: Any) -> list[Any]:
        """So many rows of an iterator, which is closed behind them."""
        found = self._method(name)(*args, **values)
        rows = [next(found) for _ in range(count)]
        found.close()
        return rows

    def _method(self, name: str) -> Any:
        noun, _, verb = name.partition(".")
        return getattr(getattr(self.client, noun), verb)

    def close(self) -> None:
        self.client.close()


class AwaitedFace(Face):
    """The client that is awaited."""

    def __init__(self, *args: Any, **values: Any) -> None:
        self.runner = asyncio.Runner()
        super().__init__(*args, **values)

    def _sleep(self, clock: Clock) -> Any:
        return clock.asleep

    def _make(self, url: str, key: str, **config: Any) -> Any:
        return AsyncMuster(url, key, **config)

    def __call__(self, name: str, *args: Any, **values: Any) -> Any:
        async def work() -> Any:
            found = self._method(name)(*args, **values)
            return [row async for row in found] if inspect.isasyncgen(found) else await found

        return self.runner.run(work())

    def first(self, count: int, name: str, *args: Any, **values: Any) -> list[Any]:
        async def work() -> list[Any]:
            found = self._method(name)(*args, **values)
            rows = [await anext(found) for _ in range(count)]
            await found.aclose()
            return rows

        return self.runner.run(work())

    def close(self) -> None:
        self.runner.run(self.client.aclose())
        self.runner.close()


class Lines(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that arrives line by line; an exception in it is raised."""

    def __init__(self, *lines: str | Exception) -> None:
        self.lines = lines

    def __iter__(self) -> Iterator[bytes]:
        for line in self.lines:
            if isinstance(line, Exception):
                raise line
            yield line.encode() + b"\n"

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for line in self:
            yield line


class Script:
    """Answers, one after another; the last one for ever. An exception is raised instead."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.bodies: list[bytes] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        self.bodies.append(request.read() if isinstance(request.stream, httpx.SyncByteStream) else b"")
        return self._next()

    def _next(self) -> httpx.Response:
        answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        status, body, *headers = answer
        if isinstance(body, Lines):
            return httpx.Response(status, stream=body, headers=dict(headers))
        return httpx.Response(status, json=body, headers=dict(headers))

    @property
    def keys(self) -> list[str | None]:
        return [request.headers.get("idempotency-key") for request in self.requests]


class AsyncScript(Script):
    async def __call__(self, request: httpx.Request) -> httpx.Response:  # type: ignore[override]
        self.requests.append(request)
        self.bodies.append(await request.aread())
        return self._next()


class World:
    def __init__(self, kind: type[Face]) -> None:
        self.kind = kind
        self.clock = Clock()
        self.faces: list[Face] = []

    def __call__(self, *answers: Any, **ground: Any) -> tuple[Face, Script]:
        script = (AsyncScript if self.kind is AwaitedFace else Script)(*answers)
        ground = {"random": lambda: 1.0, "clock": self.clock, **ground}
        self.faces.append(self.kind("http://muster", handler=script, **ground))
        return self.faces[-1], script
