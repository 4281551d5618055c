"""What every channel over a mail API with batches does: plan a wave as batches, send each as one request, and give each
recipient an outcome of its own.

A kind plans (`_plan`), writes requests (`_request`) and reads answers (`_read`). An answer decides about each message
of its request, or leaves it open: the provider took nothing of the request for another message's sake. Those are sent
again at once without the ones that were refused; where nobody was named, in halves, so that a refusal ends at the
message that it is about.

Between two requests `stop` is looked at. A request whose answer does not come leaves all its messages in doubt.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from engine.answers.meanings import Scope
from engine.channels.http.answers import Answer, outcome_of
from engine.channels.http.client import HttpClient, Unanswered
from engine.channels.http.leaves import Unrenderable
from engine.channels.http.wire import CONTENT_INVALID, trouble
from engine.channels.lending import Lent
from engine.channels.mail_apis.mail import Mail, read_mail
from engine.channels.port import Deferred, Down, Rejected, Released, Throttled
from engine.channels.trust import Trust
from engine.channels.wave import INTERRUPTED, Wave, drive
from engine.kernel.addresses import EmailFinder

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence
    from threading import Event

    from engine.channels.http.request import Request
    from engine.channels.mail_apis.settings import SendingSettings
    from engine.channels.port import ChannelContext, Outcome, Report
    from engine.channels.trust import TrustCredentials
    from engine.content.message import Message

__all__ = ["Batch", "BatchChannel", "cut"]

#: Bytes of an answer that are read: one of 500 results is longer than one of one.
_ANSWER_LIMIT = 1 << 20
#: From so many messages a request on, whole slices are asked for.
_SLICE = 500

Shared = TypeVar("Shared")


@dataclass(slots=True)
class Batch(Generic[Shared]):
    """Messages of one request."""

    mails: list[Mail]
    shared: Shared
    """What the kind knows of them together."""
    retried: bool = False
    """It was sent before, on a connection that had ended."""
    messages: list[Message] = field(init=False)

    def __post_init__(self) -> None:
        self.messages = [mail.message for mail in self.mails]


@dataclass(slots=True)
class _Refused:
    """A message that cannot be sent."""

    message: Message
    outcome: Rejected


class BatchChannel(ABC, Generic[Shared]):
    """Sends waves as batches.

    Args:
        settings: The channel's.
        credentials: Say which certificates are trusted.
        scrub: Takes the channel's secrets out of texts.
        channel_context: Say which addresses may be reached, and where the operator's certificates are.
        most: Messages of one request.
    """

    #: Whose API it is, as rules name it.
    api: str

    kind: ClassVar[str]

    def __init__(
        self,
        settings: SendingSettings,
        credentials: TrustCredentials,
        scrub: Callable[[str], str],
        channel_context: ChannelContext,
        *,
        most: int,
    ) -> None:
        self._sending = settings
        self._most = most
        self._scrub = scrub
        self._classifier = channel_context.classifier
        trust = Trust(credentials.ca_certificates, settings.ca_file, channel_context.certificates)
        self._client = HttpClient(settings, channel_context.guard, trust, answer_limit=_ANSWER_LIMIT)
        self._lent = Lent(self._client.close)
        self._places = asyncio.Semaphore(settings.concurrency)
        self.address_of = EmailFinder(settings.address)

    @property
    def in_one_piece(self) -> bool:
        """Where a request holds as much as a slice, a slice is in doubt for no longer than a part of it."""
        return self._most >= _SLICE

    @abstractmethod
    def _plan(self, mails: list[Mail]) -> list[Batch[Shared]]:
        """Batches of at most `_most` messages in which every one of `mails` is once."""

    @abstractmethod
    def _request(self, batch: Batch[Shared]) -> Request:
        """The request that sends a batch, or a part of one that was planned. Raises Unrenderable, of all of it."""

    @abstractmethod
    def _read(self, answer: Answer, batch: Batch[Shared]) -> list[Outcome | None]:
        """What the answer means for each message. Nothing may be left open of a batch of one."""

    @abstractmethod
    def _probe(self) -> Request:
        """A request that sends nothing to anybody and shows whether the provider answers and knows us."""

    def _well(self, answer: Answer) -> str | None:
        """What an answer to the probe says is wrong."""
        return trouble(self._outcome(answer))

    async def send(self, messages: Sequence[Message], report: Report, stop: Event) -> None:
        """Send a wave; see the port."""
        try:
            refused, planned = await asyncio.to_thread(self._planned, messages)
        except asyncio.CancelledError:
            Wave(self.kind, messages, report, stop).end(INTERRUPTED, "the wave was cancelled")
            raise
        batches = deque(planned)
        order = [one.message for one in refused]
        order += [message for batch in batches for message in batch.messages]
        wave = Wave(self.kind, order, report, stop)
        for one in refused:
            if wave.take() is not None:
                wave.settle(one.message, one.outcome)
        if not batches:
            return
        async with self._lent:
            workers = min(self._sending.concurrency, len(batches))
            await drive(wave, lambda wave: self._work(wave, batches), workers=workers)

    async def check(self) -> str | None:
        """Ask the provider; None, or what is wrong."""
        try:
            return self._well(await self._client.exchange(self._probe()))
        except Unanswered as unanswered:
            return str(unanswered)

    async def close(self) -> None:
        """Close the connections; waves on the wire finish on theirs. Safe to call twice."""
        await self._lent.close()

    def _planned(self, messages: Sequence[Message]) -> tuple[list[_Refused], list[Batch[Shared]]]:
        """What cannot be sent, and the batches of the rest."""
        refused: list[_Refused] = []
        mails: list[Mail] = []
        for message in messages:
            try:
                mails.append(read_mail(message, self._sending))
            except Unrenderable as error:
                refused.append(_Refused(message, Rejected(CONTENT_INVALID, self._scrub(str(error)))))
        return refused, self._plan(mails)

    async def _work(self, wave: Wave, batches: deque[Batch[Shared]]) -> None:
        """Send batches until none is left. They stand in the order in which the wave gives their messages."""
        while batches:
            async with self._places:
                if not batches:
                    return
                batch = batches.popleft()
                taken = [message for _ in batch.messages if (message := wave.take()) is not None]
                if len(taken) < len(batch.messages):  # stopped, or settled for another's sake
                    for message in taken:
                        wave.settle(message, Released())
                    return
                await self._deliver(wave, batch, batches)

    async def _deliver(self, wave: Wave, batch: Batch[Shared], batches: deque[Batch[Shared]]) -> None:
        decided = await self._exchange(wave, batch)
        if decided is None:
            self._put_back(wave, batches, [Batch(batch.mails, batch.shared, retried=True)])
            return
        left = [mail for mail, outcome in zip(batch.mails, decided, strict=True) if outcome is None]
        for message, outcome in zip(batch.messages, decided, strict=True):
            if outcome is not None:
                wave.settle(message, outcome)
        if left:
            middle = len(left) // 2 if len(left) == len(batch.mails) else 0
            halves = [half for half in (left[:middle], left[middle:]) if half]
            self._put_back(wave, batches, [Batch(half, batch.shared) for half in halves])
        blocker = next((outcome for outcome in decided if outcome is not None and _blocks(outcome)), None)
        if blocker is not None:
            batches.clear()
            wave.settle_waiting(blocker)

    async def _exchange(self, wave: Wave, batch: Batch[Shared]) -> Sequence[Outcome | None] | None:
        """What is decided about each message; None: the connection was worn out before anything left."""

        def leaves() -> None:
            for message in batch.messages:
                wave.sent(message)

        count = len(batch.mails)
        try:
            return self._read(await self._client.exchange(self._request(batch), leaves), batch)
        except Unrenderable as error:
            return [Rejected(CONTENT_INVALID, self._scrub(str(error)))] * count
        except Unanswered as unanswered:
            worn_out = isinstance(unanswered.outcome, Deferred)
            return None if worn_out and not batch.retried else [unanswered.outcome] * count

    @staticmethod
    def _put_back(wave: Wave, batches: deque[Batch[Shared]], again: list[Batch[Shared]]) -> None:
        """Let batches be taken next, whose messages were not sent."""
        for batch in reversed(again):
            for message in reversed(batch.messages):
                wave.put_back(message)
            batches.appendleft(batch)

    def _outcome(self, answer: Answer, *, error: str | None = None) -> Outcome:
        """What an answer means, for all that it is about.

        Args:
            error: The API's own code, where it has one that the body's shape does not show.
        """
        return outcome_of(
            answer,
            classifier=self._classifier,
            scrub=self._scrub,
            prefix=f"{self.api.upper()}_HTTP",
            api=self.api,
            error=error,
        )

    def _reference(self, value: Any) -> str | None:
        """The provider's own id, as it is kept."""
        return self._scrub(str(value))[:500] if value else None


def _blocks(outcome: Outcome) -> bool:
    """Whether it would meet every other message as well."""
    return isinstance(outcome, Down) or (isinstance(outcome, Throttled) and outcome.scope is Scope.CHANNEL)


def cut(
    mails: Iterable[Mail],
    *,
    most: int,
    alike: Callable[[Mail], Hashable] = lambda _: None,
    bytes_of: Callable[[Mail], int] = lambda mail: mail.size,
    limit: int | None = None,
) -> list[list[Mail]]:
    """Mails in batches, in the order in which their kinds come first. No address is in a batch twice.

    Args:
        most: Mails of a batch.
        alike: What those of a batch have in common.
        bytes_of: How much a mail adds to its request.
        limit: Bytes of a batch; a mail that is longer is alone.
    """
    open_batches: dict[Hashable, tuple[list[Mail], set[str], list[int]]] = {}
    found: dict[Hashable, list[list[Mail]]] = {}
    for mail in mails:
        key, size = alike(mail), bytes_of(mail) if limit is not None else 0
        batch, addresses, total = open_batches.get(key, ([], set(), [0]))
        full = len(batch) >= most or mail.address in addresses
        full = full or (limit is not None and total[0] + size > limit)
        if not batch or full:
            batch, addresses, total = open_batches[key] = ([], set(), [0])
            found.setdefault(key, []).append(batch)
        batch.append(mail)
        addresses.add(mail.address)
        total[0] += size
    return [batch for batches in found.values() for batch in batches]
