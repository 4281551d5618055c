"""Several processes under one: they start together, are replaced when they die, and end together.

- SIGTERM or SIGINT is passed on; each child ends in good order and gets `grace` for it, then SIGKILL.
- A child that died is started again: at once when it had run for a while, else after a pause that doubles up
  to half a minute, so that a fault at start does not become a fork storm.
- The kernel ends the children (SIGTERM, as an operator would) when the supervisor dies, however that happens.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

__all__ = ["Supervisor", "end_with"]

log = structlog.get_logger(__name__)

_PR_SET_PDEATHSIG = 1
#: A child that ran for this long was not at fault when it started. Seconds.
_SETTLED = 10.0
_LONGEST_PAUSE = 30.0
#: How often children are looked after; their death wakes the supervisor at once.
_LOOK = 1.0
#: What a child may take beyond its own grace before it is killed. Seconds.
_MARGIN = 5.0


def end_with(parent: int) -> None:
    """In a child: get SIGTERM when the process `parent` dies; at once when it is dead already. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)


@dataclass
class _Child:
    """One of the processes, over its restarts."""

    number: int
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    pause: float = 0.0
    """Before the next start."""
    next_start: float = field(default_factory=time.monotonic)


class Supervisor:
    """Keeps `count` processes of `command` running until it is stopped.

    Args:
        grace: What a child may take to end in good order.
    """

    def __init__(self, command: Sequence[str], count: int, *, grace: timedelta) -> None:
        self.command = list(command)
        self.grace = grace.total_seconds() + _MARGIN
        self._children = [_Child(number) for number in range(count)]
        self._stirred = Event()
        self._stopping = False

    def run(self) -> None:
        """Run until SIGTERM or SIGINT; returns when every child has ended. In the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGCHLD, lambda *_: self._stirred.set())
        while not self._stopping:
            self._look_after()
            self._stirred.wait(_LOOK)
            self._stirred.clear()
        self._end()

    def _stop(self, *_: object) -> None:
        self._stopping = True
        self._stirred.set()

    def _look_after(self) -> None:
        now = time.monotonic()
        for child in self._children:
            if child.process is not None and child.process.poll() is not None:
                self._bury(child, now)
            if child.process is None and now >= child.next_start and not self._stopping:
                # A group of its own: Ctrl-C at the terminal reaches the supervisor alone, which passes it on.
                child.process = subprocess.Popen(self.command, start_new_session=True)  # noqa: S603 - our own
                child.started = now
                log.info("worker.spawned", number=child.number, child=child.process.pid)

    def _bury(self, child: _Child, now: float) -> None:
        assert child.process is not None  # noqa: S101 - the caller looked
        settled = now - child.started >= _SETTLED
        child.pause = 0.0 if settled else min(max(1.0, child.pause * 2), _LONGEST_PAUSE)
        child.next_start = now + child.pause
        log.warning(
            "worker.died",
            number=child.number,
            child=child.process.pid,
            exit_code=child.process.returncode,
            restart_in=child.pause,
        )
        child.process = None

    def _end(self) -> None:
        running = [child.process for child in self._children if child.process is not None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + self.grace
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("worker.killed", child=process.pid, after=self.grace)
                process.kill()
                process.wait()
