"""What a line of an import became: a row to store, what is wrong with it, or only a remark."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from engine.audience.store import Row

__all__ = ["Record"]


class Record(NamedTuple):
    """One record of the file."""

    line: int
    """Where it starts, from 1."""
    row: Row | None
    trouble: str | None = None
    """Why it is no row: somebody is missing."""
    note: str | None = None
    """What is odd about it and costs nobody anything."""
