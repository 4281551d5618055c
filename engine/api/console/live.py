"""What moves on open pages, as server-sent events: one look a subject and interval, whatever the number of pages.

A subject (a campaign, the home page of an organization) is looked at in a thread while at least one page shows it, and
what was seen is written once for every language, zone and role among them. A page is sent the parts that changed. The
stream ends when its session does, which is looked at every `SESSION_SECONDS`, or when the process stops.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any, Protocol

import structlog
from anyio.to_thread import run_sync
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from engine.api.console.view import signed_in_now
from engine.api.errors import Unavailable
from engine.api.held_stream import HeldStream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Hashable, Mapping

    from sqlalchemy.orm import Session
    from starlette.requests import Request
    from starlette.responses import StreamingResponse

    from engine.api.console.view import View
    from engine.api.shares import Share
    from engine.kernel.runtime import Runtime

__all__ = ["LiveViews", "Subject"]

log = structlog.get_logger(__name__)

#: Between two looks at whether the session is still valid: a page ends within 5 s of its key or session.
SESSION_SECONDS = 3.0
#: A comment after so long a silence keeps proxies from closing the stream.
_SILENCE = 15.0
#: What a browser waits before it comes back, in milliseconds.
_RETRY = b"retry: 2000\n\n"


class Subject(Protocol):
    """What open pages show."""

    @property
    def key(self) -> Hashable:
        """Equal for pages that show the same."""

    def look(self, session: Session, before: Any) -> Any:
        """How it is now; `before` is what the look before saw, None at first."""

    def pause(self, seen: Any) -> float:
        """Seconds until the next look."""

    def parts(self, view: View, seen: Any) -> Mapping[str, str]:
        """Name of an event → what replaces the element that listens for it."""


class _Poll:
    """The looks at one subject."""

    def __init__(self) -> None:
        self.followers = 0
        self.changed = asyncio.Condition()
        self.version = 0
        self.seen: Any = None
        self.failed = False
        self.written: dict[Hashable, Mapping[str, str]] = {}
        """What the newest look came to, by who reads it."""
        self.task: asyncio.Task[None] | None = None


class LiveViews:
    """Every stream of one process. All of it runs on one event loop."""

    def __init__(self, runtime: Runtime, share: Share) -> None:
        self._runtime = runtime
        self._share = share
        self._polls: dict[Hashable, _Poll] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = False

    def stop(self) -> None:
        """End every stream in good order. From any thread; safe to call twice."""
        self._stopped = True
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(lambda: loop.create_task(self._tell_all()))

    @property
    def streams(self) -> int:
        """Pages that are open."""
        return self._share.taken

    def response(self, view: View, subject: Subject) -> StreamingResponse:
        """The stream of a page.

        Raises:
            TooManyRequests: the organization has its part of the open pages.
            Unavailable: the process has all it may have, or stops.
        """
        if self._stopped:
            raise Unavailable("this process shuts down", {"retry-after": "5"})
        held = AsyncExitStack()
        held.enter_context(self._share.place(view.call.org_id))
        return HeldStream(self._events(view, subject), held)

    async def _events(self, view: View, subject: Subject) -> AsyncIterator[bytes]:
        self._loop = asyncio.get_running_loop()
        poll = self._enter(subject)
        sent: dict[str, str] = {}
        try:
            yield _RETRY
            version, checked, sent_at = 0, time.monotonic(), time.monotonic()
            while not self._stopped and not poll.failed:
                if poll.version > version:
                    version = poll.version
                    for name, text in (await self._written(poll, view, subject)).items():
                        if sent.get(name) != text:
                            sent[name] = text
                            sent_at = time.monotonic()
                            yield _event(name, text)
                    continue
                if not await self._wait(poll, version) and time.monotonic() - sent_at >= _SILENCE:
                    sent_at = time.monotonic()
                    yield b": here\n\n"
                if time.monotonic() - checked > SESSION_SECONDS:
                    checked = time.monotonic()
                    if not await _still_signed_in(view.request):
                        return
        finally:
            self._leave(subject, poll)

    async def _wait(self, poll: _Poll, version: int) -> bool:
        """Until there is a newer look; False: there was none until the session is looked at again."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SESSION_SECONDS), poll.changed:
                await poll.changed.wait_for(lambda: poll.version > version or poll.failed or self._stopped)
                return True
        return False

    async def _written(self, poll: _Poll, view: View, subject: Subject) -> Mapping[str, str]:
        """The parts as this page's reader sees them; written once for all who see the same."""
        reader = (view.look, view.signed_in.principal.role, view.signed_in.time_zone)
        found = poll.written.get(reader)
        if found is None:
            seen, version = poll.seen, poll.version
            found = await run_sync(subject.parts, view, seen)
            if version == poll.version:
                poll.written[reader] = found
        return found

    def _enter(self, subject: Subject) -> _Poll:
        poll = self._polls.get(subject.key)
        if poll is None:
            poll = self._polls[subject.key] = _Poll()
            poll.task = asyncio.create_task(self._run(poll, subject))
        poll.followers += 1
        return poll

    def _leave(self, subject: Subject, poll: _Poll) -> None:
        poll.followers -= 1
        if poll.followers == 0:
            if self._polls.get(subject.key) is poll:
                del self._polls[subject.key]
            if poll.task is not None:
                poll.task.cancel()

    async def _run(self, poll: _Poll, subject: Subject) -> None:
        while not self._stopped:
            try:
                seen = await run_sync(self._look, subject, poll.seen)
            except (DBAPIError, PoolTimeout) as error:  # browsers come back by themselves
                log.warning("database.away", reason=str(getattr(error, "orig", error)))
                break
            except Exception:
                log.exception("console.look_failed")
                break
            async with poll.changed:
                poll.seen, poll.version = seen, poll.version + 1
                poll.written.clear()
                poll.changed.notify_all()
            await asyncio.sleep(subject.pause(seen))
        if self._polls.get(subject.key) is poll:
            del self._polls[subject.key]
        async with poll.changed:
            poll.failed = True
            poll.changed.notify_all()

    def _look(self, subject: Subject, before: Any) -> Any:
        with self._runtime.database.read() as session:
            return subject.look(session, before)

    async def _tell_all(self) -> None:
        for poll in list(self._polls.values()):
            async with poll.changed:
                poll.changed.notify_all()


async def _still_signed_in(request: Request) -> bool:
    try:
        return await signed_in_now(request) is not None
    except (DBAPIError, PoolTimeout):
        return False


def _event(name: str, text: str) -> bytes:
    lines = "".join(f"data: {line}\n" for line in text.splitlines()) or "data: \n"
    return f"event: {name}\n{lines}\n".encode()
