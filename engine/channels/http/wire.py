"""What every channel over somebody's HTTP API does: take messages, make requests, read answers.

A kind says what a message's request is (`_request`), what an answer means (`_read`) and how its provider is asked
whether it is well (`_probe`); this base sees to the rest of the port's promises.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from engine.answers.meanings import Scope
from engine.channels.http.client import HttpClient, Unanswered
from engine.channels.http.leaves import Unrenderable
from engine.channels.lending import Lent
from engine.channels.port import Deferred, Delivered, Down, Rejected, Released, Throttled
from engine.channels.trust import Trust
from engine.channels.wave import Wave, deliver_all

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from threading import Event

    from engine.channels.http.answers import Answer
    from engine.channels.http.request import Request
    from engine.channels.http.settings import Connection
    from engine.channels.port import ChannelContext, Outcome, Report
    from engine.channels.trust import TrustCredentials
    from engine.content.message import Message

__all__ = ["CONTENT_INVALID", "WireChannel", "trouble"]

#: The code of a message that cannot be put into its provider's form.
CONTENT_INVALID = "CONTENT_INVALID"


class WireChannel(ABC):
    """Sends each message as one request.

    Args:
        connection: How the provider is reached.
        credentials: Say which certificates are trusted.
        scrub: Takes the channel's secrets out of texts.
        channel_context: Say which addresses may be reached, and where the operator's certificates are.
    """

    kind: ClassVar[str]

    def __init__(
        self,
        connection: Connection,
        credentials: TrustCredentials,
        scrub: Callable[[str], str],
        channel_context: ChannelContext,
    ) -> None:
        self._scrub = scrub
        self._classifier = channel_context.classifier
        trust = Trust(credentials.ca_certificates, connection.ca_file, channel_context.certificates)
        self._client = HttpClient(connection, channel_context.guard, trust)
        self._lent = Lent(self._client.close)
        self._concurrency = connection.concurrency
        self._slots = asyncio.Semaphore(connection.concurrency)

    @abstractmethod
    def _request(self, message: Message) -> Request:
        """The request that sends a message. Raises Unrenderable."""

    @abstractmethod
    def _read(self, answer: Answer) -> Outcome:
        """What the answer means for the message."""

    async def _note(self, message: Message, outcome: Outcome) -> None:  # noqa: B027 - most keep nothing
        """What a kind keeps of an answer before it is reported; nothing. Must not raise."""

    @abstractmethod
    def _probe(self) -> Request:
        """A request that sends nothing to anybody and shows whether the provider answers and knows us."""

    def _well(self, answer: Answer) -> str | None:
        """What an answer to the probe says is wrong."""
        return trouble(self._read(answer))

    async def send(self, messages: Sequence[Message], report: Report, stop: Event) -> None:
        """Send a wave; see the port."""
        wave = Wave(self.kind, messages, report, stop)
        async with self._lent:
            workers = min(self._concurrency, len(messages))
            await deliver_all(wave, self._deliver, places=self._slots, workers=workers)

    async def check(self) -> str | None:
        """Ask the provider; None, or what is wrong."""
        try:
            return self._well(await self._client.exchange(self._probe()))
        except Unanswered as unanswered:
            return str(unanswered)

    async def close(self) -> None:
        """Close the connections; waves on the wire finish on theirs. Safe to call twice."""
        await self._lent.close()

    async def _deliver(self, wave: Wave, message: Message) -> None:
        try:
            request = self._request(message)
        except Unrenderable as error:
            wave.settle(message, Rejected(CONTENT_INVALID, self._scrub(str(error))))
            return
        outcome: Outcome
        try:
            outcome = self._read(await self._client.exchange(request, partial(wave.sent, message)))
        except Unanswered as unanswered:
            outcome = unanswered.outcome
            if isinstance(outcome, Deferred) and wave.retry(message):  # not sent: the connection was worn out
                return
        await self._note(message, outcome)
        wave.settle(message, outcome)
        if isinstance(outcome, Down) or (isinstance(outcome, Throttled) and outcome.scope is Scope.CHANNEL):
            wave.settle_waiting(outcome)


def trouble(outcome: Outcome) -> str | None:
    """What an outcome says is wrong, in a line; None when nothing is."""
    return None if isinstance(outcome, Delivered | Released) else f"{outcome.code}: {outcome.text}"
