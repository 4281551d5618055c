"""Things that are made once by a process and kept: a thread that asks for one that is being made waits for that one
alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

__all__ = ["Made", "SingleFlight"]

T = TypeVar("T")


class Made(NamedTuple, Generic[T]):
    """A thing, and of which version of what it was made from."""

    version: Any
    value: T


@dataclass
class _Flight:
    """One thing that is being made."""

    lock: Lock = field(default_factory=Lock)
    waiting: int = 0


class SingleFlight(Generic[T]):
    """Things by key, each of the latest version that was asked for.

    No lock is held that threads with another key could want while a thing is made, which may take long.

    Args:
        most: How many are kept; one more, and all are forgotten. None: as many as there are.
        dispose: Given what another version has replaced.
    """

    def __init__(self, *, most: int | None = None, dispose: Callable[[T], object] | None = None) -> None:
        self._most = most
        self._dispose = dispose
        self._lock = Lock()
        self._made: dict[Hashable, Made[T]] = {}
        self._flights: dict[Hashable, _Flight] = {}

    def has(self, key: Hashable, version: Any) -> bool:
        """Whether it is there, so that `of` returns at once."""
        made = self._made.get(key)
        return made is not None and made.version == version

    def of(self, key: Hashable, version: Any, make: Callable[[], Made[T]]) -> T:
        """The thing of this key and version.

        Args:
            make: Makes it; says as well which version it came to, which may be a later one. What it raises is raised,
                and nothing is kept.
        """
        made = self._made.get(key)
        if made is not None and made.version == version:
            return made.value
        with self._lock:
            flight = self._flights.setdefault(key, _Flight())
            flight.waiting += 1
        try:
            with flight.lock:
                return self._make(key, version, make)
        finally:
            with self._lock:
                flight.waiting -= 1
                if not flight.waiting:
                    del self._flights[key]

    def _make(self, key: Hashable, version: Any, make: Callable[[], Made[T]]) -> T:
        known = self._made.get(key)
        if known is not None and known.version == version:  # somebody else has made it meanwhile
            return known.value
        made = make()
        with self._lock:
            if self._most is not None and len(self._made) >= self._most:
                self._made.clear()
            self._made[key] = made
        if known is not None and self._dispose is not None:
            self._dispose(known.value)
        return made.value

    def take_all(self) -> list[T]:
        """Forget everything; returns what there was."""
        with self._lock:
            made, self._made = self._made, {}
        return [one.value for one in made.values()]
