"""A word of a fixed vocabulary, as a person typed it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.cli.failure import Exit, Failure
from engine.kernel.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["one_of"]


def one_of(what: str, word: str, known: Iterable[str]) -> str:
    """`word`, if it is one of the known ones.

    Raises:
        Failure: it is none; says which there are.
    """
    words = [str(one) for one in known]
    if word not in words:
        raise Failure(
            f"{what} {word!r} is none of {', '.join(words)}{did_you_mean(word, words)}", code=Exit.USAGE
        )
    return word
