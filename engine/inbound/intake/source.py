"""The port of a broker that events come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from config.errors import MusterError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Arrived", "Dead", "Source", "SourceAway", "SourceMisnamed"]


class SourceAway(MusterError):
    """The broker does not answer. What was not taken off it comes again."""


class SourceMisnamed(MusterError):
    """The address of a source is none, or there is no such queue."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message as it came."""

    receipt: Any
    """By which the broker knows it."""
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Dead:
    """Something that cannot be used, and why."""

    body: bytes
    reason: str


class Source(Protocol):
    """A queue of a broker. Every method raises `SourceAway` when the broker does not answer."""

    def receive(self, most: int, wait: float) -> Sequence[Arrived]:
        """At most `most` messages; waits at most `wait` seconds for the first one."""
        ...

    def bury(self, dead: Sequence[Dead]) -> None:
        """Put them among the dead letters; returns once the broker has them."""
        ...

    def finish(self, arrived: Sequence[Arrived]) -> None:
        """Take messages off the queue."""
        ...

    def close(self) -> None:
        """Let go of what was not finished, and of the connection. Safe to call twice; raises nothing."""
        ...
