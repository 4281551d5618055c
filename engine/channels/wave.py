"""One wave on its way through a channel: every message gets exactly one outcome, whatever happens to whom.

A channel that sends with several workers writes one coroutine, `work(wave)`, which takes messages and
settles them, and calls `drive`; one that needs no connection of its own for each worker writes `deliver(wave, message)`
and calls `deliver_all`. What `drive` sees to:

- `stop` is looked at before each message is handed out and every 100 ms; what nobody has taken is Released
  then.
- Workers that wait for a connection with nothing in hand are cancelled once there is nothing left to take.
- A worker that raises, and a wave that is cancelled, leave no message without an outcome: those marked
  `sent` are Doubtful, the others Deferred. Those that nobody took are Released by a cancellation, and
  Deferred by an error (released, they would meet the same error for ever).
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextvars import ContextVar
from time import perf_counter
from traceback import format_exception
from typing import TYPE_CHECKING

import structlog

from engine.channels.port import Deferred, Doubtful, Outcome, Released
from engine.kernel import metrics

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from threading import Event

    from engine.channels.port import Report
    from engine.content.message import Message

__all__ = ["CHANNEL_ERROR", "INTERRUPTED", "Wave", "deliver_all", "drive"]

log = structlog.get_logger(__name__)

#: The code of a message whose worker raised, and of one whose wave was cancelled.
CHANNEL_ERROR = "CHANNEL_ERROR"
INTERRUPTED = "INTERRUPTED"

#: How often `stop` is looked at while all messages are on the wire, in seconds.
_LOOK = 0.1

#: The worker that runs, so that it is remembered with what it takes; None: the wave has one only. (asyncio's
#: `current_task` costs ten times as much, for every message.)
_worker: ContextVar[asyncio.Task[None] | None] = ContextVar("worker", default=None)


_PROVIDER_SECONDS = metrics.PROVIDER_SECONDS.histogram()


class _Taken:
    """A message in some worker's hands."""

    __slots__ = ("began", "message", "sent", "worker")

    def __init__(self, message: Message, worker: asyncio.Task[None] | None) -> None:
        self.message = message
        self.worker = worker
        self.began = perf_counter()
        self.sent = False


class Wave:
    """The messages of one wave: waiting, taken, or settled.

    Args:
        kind: Of the channel, whose provider's time is measured by it.
    """

    def __init__(self, kind: str, messages: Sequence[Message], report: Report, stop: Event) -> None:
        self._seconds = _PROVIDER_SECONDS.labels(kind)
        self._waiting = deque(messages)
        self._taken: dict[int, _Taken] = {}
        self._retried: set[int] = set()
        self._report = report
        self._stop = stop

    @property
    def exhausted(self) -> bool:
        """Nothing is waiting."""
        return not self._waiting

    def take(self) -> Message | None:
        """The next message, which the caller must settle; None when there is none, or `stop` is set."""
        if self._stop.is_set():
            self.release()
            return None
        if not self._waiting:
            return None
        message = self._waiting.popleft()
        self._taken[id(message)] = _Taken(message, _worker.get())
        return message

    def sent(self, message: Message) -> None:
        """From here on the provider may have it: without an outcome it is Doubtful."""
        self._taken[id(message)].sent = True

    def settle(self, message: Message, outcome: Outcome) -> None:
        """Report a taken message's outcome. A second one is the caller's error: logged, not reported."""
        taken = self._taken.pop(id(message), None)
        if taken is None:
            log.error("channel.settled_twice", execution_id=str(message.execution_id), outcome=repr(outcome))
            return
        self._seconds.observe(perf_counter() - taken.began)
        self._report(message, outcome)

    def retry(self, message: Message) -> bool:
        """Let a message that was not sent be taken once more, now; False when it has been already."""
        if id(message) in self._retried:
            return False
        self._retried.add(id(message))
        self.put_back(message)
        return True

    def postpone(self, message: Message) -> bool:
        """As `retry`, behind everything that waits."""
        if id(message) in self._retried:
            return False
        self._retried.add(id(message))
        del self._taken[id(message)]
        self._waiting.append(message)
        return True

    def put_back(self, message: Message) -> None:
        """Let a message that was not sent be taken again: it was another's fault, which that one has paid for."""
        del self._taken[id(message)]
        self._waiting.appendleft(message)

    def settle_waiting(self, outcome: Outcome) -> None:
        """Everything that waits has this outcome: nothing can be sent now, say."""
        while self._waiting:
            self._report(self._waiting.popleft(), outcome)

    def release(self) -> None:
        """Everything that waits was never started."""
        self.settle_waiting(Released())

    def release_if_stopped(self) -> None:
        """Look at `stop`."""
        if self._stop.is_set():
            self.release()

    def holds(self, worker: asyncio.Task[None]) -> bool:
        """Whether `worker` has taken something that is not settled."""
        return any(taken.worker is worker for taken in self._taken.values())

    def end(self, code: str, text: str) -> None:
        """Settle what is left: nobody works on it any more."""
        for taken in list(self._taken.values()):
            outcome: Outcome = Doubtful(code, text) if taken.sent else Deferred(code, text)
            self.settle(taken.message, outcome)
        self.settle_waiting(Released() if code == INTERRUPTED else Deferred(code, text))


async def deliver_all(
    wave: Wave,
    deliver: Callable[[Wave, Message], Awaitable[None]],
    *,
    places: asyncio.Semaphore,
    workers: int,
) -> None:
    """Have every message settled by `deliver`, that many at once.

    Args:
        places: The channel's, shared by its waves. Who waits for one has no message in hand.

    Raises:
        asyncio.CancelledError: see `drive`.
    """

    async def work(wave: Wave) -> None:
        while not wave.exhausted:
            async with places:
                message = wave.take()
                if message is None:
                    return
                await deliver(wave, message)

    await drive(wave, work, workers=workers)


async def drive(wave: Wave, work: Callable[[Wave], Awaitable[None]], *, workers: int) -> None:
    """Run `work` with that many workers until every message of the wave is settled.

    Raises:
        asyncio.CancelledError: it was cancelled; every message has its outcome all the same.
    """

    async def worker() -> None:
        _worker.set(asyncio.current_task())
        await work(wave)

    tasks = [asyncio.create_task(worker()) for _ in range(workers)]
    left = set(tasks)
    try:
        while left:
            _, left = await asyncio.wait(left, timeout=_LOOK, return_when=asyncio.FIRST_COMPLETED)
            wave.release_if_stopped()
            if wave.exhausted:
                for task in left:
                    if not wave.holds(task):
                        task.cancel()
    except asyncio.CancelledError:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        wave.end(INTERRUPTED, "the wave was cancelled")
        raise
    errors = [error for task in tasks if not task.cancelled() and (error := task.exception()) is not None]
    if not errors:
        wave.end(INTERRUPTED, "the worker was cancelled")
        return
    # As text: a renderer that prints the variables of each frame would print passwords.
    log.error("channel.error", workers=len(errors), trace="".join(format_exception(errors[0])))
    wave.end(CHANNEL_ERROR, f"{type(errors[0]).__name__}: {errors[0]}")
