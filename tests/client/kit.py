"""Both clients behind one face, so that each test is about both."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

import httpx

from muster_client import AsyncMuster, Muster

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["AwaitedFace", "Clock", "Face"]


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

    def close(self) -> None:
        self.runner.run(self.client.aclose())
        self.runner.close()
