"""Do something for each of several things, so that one that fails stops none of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from config.errors import MusterError
from state.database import is_connection_loss

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["SomeFailed", "for_each"]

_T = TypeVar("_T")


class SomeFailed(MusterError):
    """It failed for some; the first error is the cause."""

    def __init__(self, count: int, first: Exception) -> None:
        super().__init__(f"{count} failed, the first with {type(first).__name__}: {first}")
        self.__cause__ = first


def for_each(things: Iterable[_T], do: Callable[[_T], int]) -> int:
    """The sum of what `do` returned; each has its turn whatever happens to the others.

    Raises:
        SomeFailed: after all had their turn.
        sqlalchemy.exc.DBAPIError: the database is away; the rest had no turn.
    """
    done, failed = 0, 0
    first: Exception | None = None
    for thing in things:
        try:
            done += do(thing)
        except Exception as error:
            if is_connection_loss(error):
                raise
            failed += 1
            first = first or error
    if first is not None:
        raise SomeFailed(failed, first)
    return done
