"""One call as a value: what is sent, and whether it may be sent again. Nothing in here touches the network."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

__all__ = ["AsyncStream", "Call", "Stream", "given", "part"]

T = TypeVar("T")

_READS = frozenset(("GET", "HEAD"))

#: A body: whole, or in pieces (a binary file is such); a function that begins it anew makes it repeatable.
Stream = bytes | Iterable[bytes] | Callable[[], Iterable[bytes]]
#: What an `AsyncMuster` takes besides.
AsyncStream = Stream | AsyncIterable[bytes] | Callable[[], AsyncIterable[bytes]]


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One call, whose answer is a T."""

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    json: Any = None
    stream: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    patience: float = 0.0
    """Seconds that the answer may take beyond the client's timeout: how long it was asked to wait."""
    asks: bool = False
    """It is posted and changes nothing."""

    @property
    def mutates(self) -> bool:
        """Whether it needs a key to be repeated."""
        return self.method not in _READS and not self.asks

    @property
    def repeatable(self) -> bool:
        """Whether its body can be sent again."""
        return self.stream is None or isinstance(self.stream, bytes) or callable(self.stream)


def part(key: str) -> str:
    """An id as a part of a path.

    Raises:
        ValueError: it is empty, and would address a list instead.
    """
    text = str(key)
    if not text.strip("."):
        raise ValueError(f"{text!r} is no id")
    return quote(text, safe="")


def given(**params: Any) -> dict[str, Any]:
    """The parameters that are not None."""
    return {name: value for name, value in params.items() if value is not None}
