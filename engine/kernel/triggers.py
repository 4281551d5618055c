"""Named points at every commit edge, where tests stop, raise or kill.

In production nothing is armed and reaching a point is one look at an empty dictionary. A test arms a point in its
own process with `arm`; real processes arm themselves from `MUSTER_TRIGGER`, e.g. `wave.claimed=kill@3` (the third
time a wave is claimed, die as by SIGKILL) or `slice.leased=raise`.
"""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

from config.errors import MusterError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["POINTS", "TriggeredError", "arm", "arm_from_environment", "reach"]

#: Every point there is; the crash-edge tests run over all of them, so a new one cannot be forgotten.
POINTS = (
    "plan.page.before_commit",
    "plan.page.committed",
    "plan.done",
    "slice.leased",
    "wave.before_claim_commit",
    "wave.claimed",
    "wave.sent",
    "settle.before_commit",
    "settle.committed",
    "slice.before_close_commit",
    "slice.closed",
    "report.before_commit",
    "report.committed",
    "recover.before_commit",
    "recover.committed",
    "schedule.before_commit",
    "schedule.committed",
)

_armed: dict[str, Callable[[], None]] = {}


class TriggeredError(MusterError, RuntimeError):
    """Raised by a point that was armed to raise."""


def reach(point: str) -> None:
    """Say that this point is reached. Does nothing unless somebody armed it."""
    if _armed and (action := _armed.get(point)) is not None:
        action()


@contextmanager
def arm(point: str, action: Callable[[], None]) -> Iterator[None]:
    """Run `action` whenever `point` is reached, while the block lasts."""
    _check(point)
    _armed[point] = action
    try:
        yield
    finally:
        _armed.pop(point, None)


def arm_from_environment(value: str | None) -> None:
    """Arm what `MUSTER_TRIGGER` says: `point=kill[@n]` or `point=raise[@n]`, several by comma.

    Raises:
        ValueError: there is no such point or action.
    """
    for item in filter(None, (value or "").split(",")):
        point, _, action = item.partition("=")
        word, _, nth = action.partition("@")
        _check(point)
        if word not in ("kill", "raise"):
            raise ValueError(f"MUSTER_TRIGGER: {word!r} is neither kill nor raise")
        _armed[point] = _counted(word, point, int(nth or 1))


def _counted(word: str, point: str, nth: int) -> Callable[[], None]:
    lock = Lock()
    seen = 0

    def act() -> None:
        nonlocal seen
        with lock:
            seen += 1
            now = seen == nth
        if now and word == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if now:
            raise TriggeredError(point)

    return act


def _check(point: str) -> None:
    if point not in POINTS:
        raise ValueError(f"there is no trigger point {point!r}; there are {', '.join(POINTS)}")
