"""How many messages a second each channel's provider took lately, as one process sees it."""

from __future__ import annotations

from collections import defaultdict, deque
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID

__all__ = ["Meter"]

#: What counts, in seconds: providers limit by the second, or by longer times.
_WINDOW = 1.0
#: What is lately, in seconds.
_LATELY = 10.0


class Meter:
    """One process's."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._taken: dict[UUID, deque[tuple[float, int]]] = defaultdict(deque)
        self._last: dict[UUID, float] = {}

    def note(self, channel_id: UUID, messages: int, now: float) -> None:
        """Count messages that were taken.

        Args:
            now: Seconds, by any steady clock.
        """
        with self._lock:
            if messages:
                self._last[channel_id] = now
            taken = self._taken[channel_id]
            taken.append((now, messages))
            while taken[0][0] < now - _WINDOW:
                taken.popleft()

    def rate(self, channel_id: UUID, now: float) -> float:
        """Messages a second that were taken within the last second."""
        with self._lock:
            taken = self._taken.get(channel_id, ())
            return sum(count for at, count in taken if at >= now - _WINDOW) / _WINDOW

    def took_lately(self, channel_id: UUID, now: float) -> bool:
        """Whether any was taken within the last seconds: then a refusal is not everybody's."""
        with self._lock:
            last = self._last.get(channel_id)
            return last is not None and now - last <= _LATELY
