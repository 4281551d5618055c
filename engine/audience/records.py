"""What a line of an import became: a row to store, or what is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from engine.audience.store import Row

__all__ = ["Record"]


class Record(NamedTuple):
    """One record of the file; exactly one of `row` and `trouble` is there."""

    line: int
    """Where it starts, from 1."""
    row: Row | None
    trouble: str | None = None
