"""Waiting for what is promised, and for no longer than promised.

A test never sleeps for a guessed time: it asks a question until the answer is yes, or says which question
stayed open.
"""

from __future__ import annotations

import os
import time
from threading import Event
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["patience", "wait_until"]


T = TypeVar("T")


def patience(seconds: float) -> float:
    """Seconds on a quiet machine, as so many more as others want its processors now (the load of the last minute)."""
    return seconds * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def wait_until(predicate: Callable[[], T], what: str, *, deadline: float = 10.0, interval: float = 0.02) -> T:
    """Ask `predicate` every `interval` seconds until its answer is true; give back that answer.

    Args:
        predicate: Asked in this thread; what it raises passes through.
        what: The condition in words, for the error.
        deadline: Seconds on a quiet machine (`patience`). The predicate is asked once at least, and once at the end.
        interval: Seconds between questions.

    Raises:
        TimeoutError: the last answer, and how long was waited.
    """
    until = time.monotonic() + patience(deadline)
    pause = Event()
    while True:
        late = time.monotonic() >= until
        answer = predicate()
        if answer:
            return answer
        if late:
            raise TimeoutError(f"not within {deadline:g} s: {what} (last answer: {answer!r})")
        pause.wait(interval)
