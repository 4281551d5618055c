"""The channel `outbox`: keeps what is sent in this process, and answers as a test says."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from threading import Condition
from typing import TYPE_CHECKING, ClassVar
from uuid import uuid4

from pydantic import BaseModel, ConfigDict

from engine.channels.port import Delivered
from engine.channels.wave import INTERRUPTED, Wave
from engine.kernel.media import AddressMedium, address_finder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from threading import Event

    from engine.channels.port import ChannelContext, Outcome, Report
    from engine.content.message import Content, Message

__all__ = ["Outbox", "OutboxChannel", "Sent"]


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that was taken."""

    to: str
    subject: str | None
    text: str | None
    html: str | None


class Outbox:
    """What was sent, and how further messages are answered. Safe to use from several threads."""

    #: Of this process, by the name that a channel's settings have.
    known: ClassVar[dict[str, Outbox]] = {}

    def __init__(self) -> None:
        self.name = uuid4().hex
        self._changed = Condition()
        self._sent: list[Sent] = []
        self._answers: dict[str | None, deque[Outcome]] = defaultdict(deque)
        Outbox.known[self.name] = self

    @property
    def sent(self) -> list[Sent]:
        """All that was taken, oldest first."""
        with self._changed:
            return list(self._sent)

    def to(self, address: str) -> list[Sent]:
        """What was taken for one address."""
        return [one for one in self.sent if one.to == address]

    def answer(self, *outcomes: Outcome, to: str | None = None) -> None:
        """Answer the next messages (to one address) so, in this order; those after them are taken.

        Outcomes are those of `engine.channels.port`: `Rejected("X_550", "no such user")`, `Deferred(…)`, `Down(…)`.
        """
        with self._changed:
            self._answers[to].extend(outcomes)

    def wait_for(self, count: int, *, seconds: float = 30) -> list[Sent]:
        """All that was taken, once there are so many.

        Raises:
            TimeoutError: there are fewer after so many seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._sent) >= count, seconds):
                raise TimeoutError(f"{len(self._sent)} messages were sent within {seconds} s, not {count}")
            return list(self._sent)

    def take(self, message: Message) -> Outcome:
        """The answer to a message; one that is taken is kept."""
        with self._changed:
            for key in (message.address, None):
                if self._answers[key]:
                    answer = self._answers[key].popleft()
                    break
            else:
                answer = Delivered()
            if isinstance(answer, Delivered):
                content = message.content
                self._sent.append(Sent(message.address, content.subject, content.text, content.html))
                self._changed.notify_all()
            return answer

    def forget(self) -> None:
        """End it: the process keeps it no longer."""
        Outbox.known.pop(self.name, None)


class OutboxSettings(BaseModel):
    """The `settings` of a channel of kind `outbox`."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    name: str
    """Of the outbox in this process."""
    medium: AddressMedium = AddressMedium.EMAIL
    """What the addresses are."""


class NoCredentials(BaseModel):
    """There are none."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class OutboxChannel:
    """Keeps messages in an `Outbox`."""

    kind: ClassVar[str] = "outbox"
    doubt_policy: ClassVar[str] = "resend"
    links: ClassVar[bool] = True
    in_one_piece: ClassVar[bool] = False
    Settings = OutboxSettings
    Credentials = NoCredentials

    def __init__(
        self, settings: OutboxSettings, credentials: NoCredentials, channel_context: ChannelContext
    ) -> None:
        """Raises ValueError: there is no such outbox in this process."""
        if settings.name not in Outbox.known:
            raise ValueError(f"name: there is no outbox {settings.name!r} in this process")
        self._outbox = Outbox.known[settings.name]
        self.medium = settings.medium
        self.address_of = address_finder(settings.medium, None)

    @classmethod
    def problems_of(cls, content: Content, settings: BaseModel | None = None) -> list[str]:
        """It takes everything."""
        return []

    async def send(self, messages: Sequence[Message], report: Report, stop: Event) -> None:
        """See `engine.channels.port`."""
        wave = Wave(self.kind, messages, report, stop)
        try:
            while (message := wave.take()) is not None:
                wave.settle(message, self._outbox.take(message))
        finally:
            wave.end(INTERRUPTED, "the wave was cancelled")

    async def check(self) -> str | None:
        """Nothing can be wrong."""
        return None

    async def close(self) -> None:
        """Nothing to give back."""
