"""What really left: the journal a server keeps of every message it accepted.

One JSON object a line, appended before the server answers, so that a message it confirmed is in the journal
whatever happens to the sender. `key` is the execution id (Idempotency-Key header, or the Message-ID's), `at`
the seconds since 1970 at which it was accepted, `repeat` whether the server recognised the key and delivered
nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Journal", "Sent"]

_UUID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True)
class Sent:
    """One message that was accepted and delivered."""

    execution_id: UUID | None
    """None: the key holds no UUID; the oracle counts it as a stranger."""
    at: float
    """Seconds since 1970."""
    entry: dict[str, Any]
    """The whole line."""


class Journal:
    """A reader of one server's file. The file need not be there yet."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._counted = (0, 0)
        """Bytes that were read, and lines in them."""

    def count(self) -> int:
        """Lines so far. Reads only what is new."""
        offset, lines = self._counted
        if self.path.exists():
            with self.path.open("rb") as journal:
                journal.seek(offset)
                new = journal.read()
            self._counted = (offset + len(new), lines + new.count(b"\n"))
        return self._counted[1]

    def sent(self) -> list[Sent]:
        """All that was delivered so far, in order, without recognised repeats. A torn last line waits."""
        if not self.path.exists():
            return []
        found = []
        with self.path.open("rb") as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                entry = orjson.loads(line)
                if not entry.get("repeat"):
                    key = _UUID.search(str(entry["key"]))
                    found.append(Sent(UUID(key.group()) if key else None, float(entry["at"]), entry))
        return found

    def deliveries(self) -> Counter[UUID | None]:
        """How often each execution was delivered."""
        return Counter(sent.execution_id for sent in self.sent())

    def peak(self, window: float) -> int:
        """The most messages in any span of `window` seconds, wherever it begins."""
        instants = sorted(sent.at for sent in self.sent())
        most = first = 0
        for last, instant in enumerate(instants):
            while instant - instants[first] >= window:
                first += 1
            most = max(most, last - first + 1)
        return most
