"""Telling webhooks: lanes are taken from the database, sent over HTTP on the process's event loop, and written back.

Promises:
- A receiver that stalls costs a socket for `webhook_timeout`, never a thread; at most `PER_WEBHOOK` lanes of one
  webhook are worked on at once, so it does not keep others waiting.
- A redirect is a failure: nothing is ever sent to an address that nobody registered. Addresses are checked by
  `engine.kernel.outbound` when the socket is made.
- When it is stopped, it begins nothing, lets what is on the wire be answered, and writes it down.

What is given up here (too much at once, a database that is away) is woken again by the sweeper.
"""

from __future__ import annotations

import asyncio
import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakValueDictionary

import aiohttp
import structlog
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from engine.events import webhook_queues
from engine.events.payloads import event_key, payload
from engine.events.signing import headers
from engine.events.webhook_queues import Answer, Waiting, WebhookQueue, WebhookQueueLost
from engine.events.webhooks import secret_place
from engine.kernel import metrics
from engine.kernel.outbound import Guard
from engine.kernel.secrets import Secrets, SecretsError
from state.change import clock_of
from state.tables import Webhook
from state.types import NIL_UUID

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from sqlalchemy.orm import Session

    from engine.kernel.commands import Notify
    from engine.kernel.runtime import Runtime
    from engine.kernel.send_loop import SendLoop

__all__ = ["WebhookDispatcher"]

log = structlog.get_logger(__name__)

T = TypeVar("T")

_DELIVERIES = metrics.WEBHOOK_DELIVERIES.counter()

#: Lanes that wait or are worked on in one process; more are left to the sweeper.
_MOST = 1000
#: Lanes that are worked on at once, and of one webhook.
AT_ONCE = 64
PER_WEBHOOK = 4
#: Deliveries of one visit; then the lane takes its turn again.
_VISIT = 200
#: Seconds that answers may wait to be written.
_FLUSH = 1.0
#: Bytes of an answer that are read.
_EXCERPT = 2048
_THREADS = 4


@dataclass(frozen=True, slots=True)
class _Target:
    """Where to, and signed with what."""

    url: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Page:
    """Some deliveries of a lane, read at one instant."""

    lane: WebhookQueue
    target: _Target
    deliveries: list[Waiting]
    at: datetime


class WebhookDispatcher:
    """One per worker process. `take` may be called from any thread."""

    def __init__(self, runtime: Runtime, loop: SendLoop, *, guard: Guard | None = None) -> None:
        settings = runtime.settings
        self._runtime = runtime
        self._loop = loop
        self._guard = guard or Guard(settings.webhook_networks)
        self._timeout = settings.webhook_timeout.total_seconds()
        #: A lease outlives everything that may happen between two writes: a second of answers, and one that stalls.
        self._lasts = timedelta(seconds=3 * self._timeout + 30)
        self._secrets: Secrets | None = None
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="dispatcher")
        self._http: aiohttp.ClientSession | None = None
        self._lanes: dict[tuple[UUID, UUID], bool] = {}
        """Lanes in hand → whether they were asked for again meanwhile."""
        self._tasks: set[asyncio.Task[Any]] = set()
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._gates: WeakValueDictionary[UUID, asyncio.Semaphore] = WeakValueDictionary()
        self._stopping = False

    def take(self, command: Notify) -> None:
        """Begin to tell a webhook what is due. Returns at once; a lane that is in hand already is looked at again."""
        if not self._stopping:
            self._loop.submit(self._take(command))

    def work(self, command: Notify) -> None:
        """The same, and wait for it to be over."""
        self._loop.submit(self._take(command)).result()

    def stop(self) -> None:
        """Let what is on the wire be answered, and end. Safe to call twice."""
        if not self._stopping:
            self._stopping = True
            self._loop.submit(self._end()).result()
            self._threads.shutdown()

    async def _end(self) -> None:
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=2 * self._timeout)
            for task in late:
                task.cancel()
        if self._http is not None:
            await self._http.close()

    async def _take(self, command: Notify) -> None:
        key = (command.webhook_id, command.campaign_id)
        if key in self._lanes:
            self._lanes[key] = True
            return
        if self._stopping or len(self._lanes) >= _MOST:
            return
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - this is a coroutine
        self._tasks.add(task)
        self._lanes[key] = True
        try:
            gate = self._gates.setdefault(command.webhook_id, asyncio.Semaphore(PER_WEBHOOK))
            async with gate, self._gate:
                while self._lanes[key] and not self._stopping:
                    self._lanes[key] = False
                    await self._visit(command)
        except WebhookQueueLost as lost:
            log.warning("webhook.lane_lost", reason=str(lost))
        except DBAPIError as error:
            log.warning("database.away", reason=str(error.orig))
        except SecretsError as error:
            log.error("webhook.secret_unusable", webhook_id=str(command.webhook_id), reason=str(error))  # noqa: TRY400
        except Exception:
            log.exception("webhook.visit_failed", webhook_id=str(command.webhook_id))
        finally:
            del self._lanes[key]
            self._tasks.discard(task)

    async def _visit(self, command: Notify) -> None:
        """Work on a lane until it has nothing due, fails, or has had its turn."""
        page = await self._in_thread(partial(self._open, command))
        seen = 0
        while page is not None:
            answers = await self._send(page)
            seen += len(answers)
            last = not answers[-1].ok or self._stopping or seen >= _VISIT
            page = await self._in_thread(partial(self._write, page, answers, last=last))

    async def _send(self, page: _Page) -> list[Answer]:
        """Send in order, until one fails or it is time to write down what came of it."""
        answers: list[Answer] = []
        began = time.monotonic()
        for delivery in page.deliveries:
            answer = await self._attempt(page, delivery)
            _DELIVERIES.labels("delivered" if answer.ok else "failed").inc()
            answers.append(answer)
            if not answer.ok or self._stopping or time.monotonic() - began > _FLUSH:
                break
        return answers

    async def _attempt(self, page: _Page, delivery: Waiting) -> Answer:
        """One request. Whatever goes wrong is an answer."""
        if delivery.happened_at is None:
            return Answer(delivery, ok=False, milliseconds=0, error="the event is older than events are kept")
        lane = page.lane
        body = payload(
            delivery.event_id,
            delivery.event,
            delivery.happened_at,
            campaign_id=None if lane.campaign_id == NIL_UUID else lane.campaign_id,
            job_id=delivery.job_id,
            data=delivery.data or {},
        )
        signed = headers(
            page.target.keys,
            event_id=event_key(delivery.event_id),
            event=delivery.event,
            delivery_id=str(delivery.id),
            timestamp=int(page.at.timestamp()),
            body=body,
        )
        began = time.monotonic()
        status, error, retry_after = None, None, None
        try:
            async with self._session().post(
                page.target.url, data=body, headers=signed, allow_redirects=False
            ) as response:
                status = response.status
                excerpt = await response.content.read(_EXCERPT)
                if not response.content.at_eof():
                    response.close()  # the rest is not read
                if not response.ok or status >= _REDIRECT:
                    error = _told(status, excerpt)
                    retry_after = _seconds(response.headers.get("retry-after"))
        except TimeoutError:
            status, error = None, f"no answer in {self._timeout:g} seconds"
        except (aiohttp.ClientError, OSError, ValueError) as trouble:
            status, error = None, str(trouble) or type(trouble).__name__
        took = round((time.monotonic() - began) * 1000)
        if error is not None:
            log.info("webhook.failed", webhook_id=str(lane.webhook_id), delivery_id=delivery.id, reason=error)
        return Answer(delivery, error is None, took, status, error, retry_after)

    def _session(self) -> aiohttp.ClientSession:
        """Made on the loop, at the first use. No cookies, no proxy from the environment, nothing unpacked."""
        if self._http is None:
            self._http = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, socket_factory=self._guard.socket),
                timeout=aiohttp.ClientTimeout(total=self._timeout),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"content-type": "application/json", "user-agent": "Muster"},
                auto_decompress=False,
            )
        return self._http

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _open(self, command: Notify) -> _Page | None:
        """Lease a lane and read what is due of it."""
        with self._runtime.transaction() as session:
            lane = webhook_queues.lease(
                session, command.org_id, command.webhook_id, command.campaign_id, lasts=self._lasts
            )
            return None if lane is None else self._read(session, lane)

    def _write(self, page: _Page, answers: list[Answer], *, last: bool) -> _Page | None:
        """Write what came of deliveries, and read the next ones of the lane, or give it back."""
        with self._runtime.transaction() as session:
            jitter = random.random()  # noqa: S311 - spreads retries, guards nothing
            webhook_queues.settle(session, page.lane, answers, lasts=self._lasts, jitter=jitter)
            if last:
                webhook_queues.close(session, page.lane)
                return None
            return self._read(session, page.lane)

    def _read(self, session: Session, lane: WebhookQueue) -> _Page | None:
        deliveries = webhook_queues.load(session, lane)
        if not deliveries:
            webhook_queues.close(session, lane)
            return None
        row = session.execute(
            select(Webhook.url, Webhook.secret, Webhook.previous_secret, Webhook.previous_secret_until).where(
                Webhook.id == lane.webhook_id, Webhook.org_id == lane.org_id
            )
        ).one()
        now = clock_of(session).now()
        sealed = [row.secret]
        if row.previous_secret is not None and row.previous_secret_until > now:
            sealed.append(row.previous_secret)
        if self._secrets is None:
            self._secrets = Secrets.of(self._runtime.settings)
        place = secret_place(lane.webhook_id)
        keys = tuple(self._secrets.open(one, place)["secret"] for one in sealed)
        return _Page(lane, _Target(row.url, keys), deliveries, now)


_REDIRECT = 300


def _told(status: int, excerpt: bytes) -> str:
    text = " ".join(excerpt.decode("utf-8", "replace").replace("\0", "").split())
    return f"HTTP {status}" + (f": {text}" if text else "")


def _seconds(value: str | None) -> float | None:
    """A Retry-After in seconds; a date is left to the back-off."""
    return float(value) if value is not None and value.strip().isdigit() else None
