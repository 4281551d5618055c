"""How much work one message may be.

Work is counted in steps: a node of a template in a block, a filter, and every 1,024 characters or items that a filter
gives. Now and then the processor time of the thread is looked at too, because steps differ in size. Rendering stops
where either is used up, and fails that recipient alone; a busy machine costs nobody anything.
"""

from __future__ import annotations

from time import thread_time
from typing import TYPE_CHECKING, Any

from liquid.exceptions import ResourceLimitError

from config.errors import MusterError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SECONDS_LIMIT", "STEP_LIMIT", "Budget", "WorkLimitError"]

#: Steps of one message.
STEP_LIMIT = 200_000
#: Processor seconds of one message.
SECONDS_LIMIT = 1.0
#: After how many steps the clock is looked at.
_STEPS_A_LOOK = 64
_SIZE_OF_A_STEP = 1024


class WorkLimitError(MusterError, ResourceLimitError):
    """A message takes more work than any should."""


class Budget:
    """What is left of the work that one message may be.

    Args:
        clock: Processor seconds of this thread.
    """

    __slots__ = ("_clock", "_end", "_next_look", "steps")

    def __init__(self, clock: Callable[[], float] = thread_time) -> None:
        self._clock = clock
        self._end: float | None = None  # of a message of few steps it is never asked for
        self._next_look = _STEPS_A_LOOK
        self.steps = 0
        """Those that were taken."""

    def spend(self, steps: int) -> None:
        """Take so many steps.

        Raises:
            WorkLimitError: there are not so many left, or the time is over.
        """
        self.steps += steps
        if self.steps < self._next_look:
            return
        self._next_look = self.steps + _STEPS_A_LOOK
        if self.steps > STEP_LIMIT:
            raise WorkLimitError(f"takes more than {STEP_LIMIT:,} steps", token=None)
        now = self._clock()
        if self._end is None:
            self._end = now + SECONDS_LIMIT
        if now > self._end:
            raise WorkLimitError(f"takes more than {SECONDS_LIMIT:g} s", token=None)

    def spend_on(self, value: Any) -> None:
        """Take the steps of a filter that gives this value.

        Raises:
            WorkLimitError: as `spend`.
        """
        self.spend(1 + len(value) // _SIZE_OF_A_STEP if isinstance(value, str | list) else 1)
