"""Server-sent events (HTML standard, section 9.2) as they are read line by line."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from muster_client.calls import Call
    from muster_client.types import Event

__all__ = ["EventReader"]

T = TypeVar("T")


class EventReader:
    """Puts lines together to events, over several connections.

    Args:
        position: The id behind which the first connection begins; None: with what happens from now on.
    """

    def __init__(self, position: str | None) -> None:
        self.pause = 2.0
        """Seconds before a new connection: as many as the server asked for."""
        self._position = position
        self._id: str | None = None
        self._data: list[str] = []

    def resumed(self, call: Call[T]) -> Call[T]:
        """`call`, so that its answer begins behind the last event that was read."""
        self._forget()
        if self._position is None:
            return call
        return replace(call, headers={**call.headers, "last-event-id": self._position})

    def line(self, line: str) -> Event | None:
        """The event that `line`, without its end, completes."""
        if not line:
            return self._completed()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "id":
            self._id = value
        elif name == "retry" and value.isdigit():
            self.pause = int(value) / 1000
        return None

    def _completed(self) -> Event | None:
        if not self._data:
            self._forget()
            return None
        event: Event = json.loads("\n".join(self._data))
        if self._id is not None:
            self._position = event["position"] = self._id
        self._forget()
        return event

    def _forget(self) -> None:
        self._id, self._data = None, []
