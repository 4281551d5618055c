"""What the engine asks of a channel, whatever it speaks.

A channel takes a wave of rendered messages and reports ONE outcome for each of them, as soon as it is known. It
never raises for a message's sake: whatever goes wrong on the wire is an outcome. Between two messages it looks at
`stop`; once that is set it starts nothing new and reports what it has not started as `Released`.

The error classes decide what the engine does next (docs/architecture.md):

| outcome | meaning | what follows |
|---|---|---|
| `Delivered` | the provider took it | success |
| `Rejected` | permanent: the address, the content or the account is refused | failed at once |
| `Deferred` | transient: this message may be taken later | back-off, up to the channel's attempts; down, where \
everybody is answered so |
| `Throttled` | too fast, or a quota is spent | its scope goes on more slowly, or waits; costs nobody an attempt |
| `SenderRefused` | the sender is refused | the campaign is paused after a handful; costs nobody an attempt |
| `Down` | the provider cannot be reached | the channel's breaker opens; costs nobody an attempt |
| `Doubtful` | sent, and no answer came after the last byte | the channel's doubt policy |
| `Released` | never started | pending again, costs nothing |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from engine.answers.classify import Classifier, classifier_of
from engine.answers.meanings import Scope
from engine.channels.refresh_tokens import KeptRefreshToken
from engine.content.message import Message
from engine.kernel.outbound import MAIL_PORTS, Guard

if TYPE_CHECKING:
    from pathlib import Path
    from threading import Event
    from uuid import UUID

    from pydantic import BaseModel

    from config.settings import Settings
    from engine.content.message import Content
    from engine.kernel.media import AddressMedium
    from engine.kernel.secrets import Secrets
    from state.database import Database

__all__ = [
    "ALLOWED_BY",
    "Channel",
    "ChannelContext",
    "Deferred",
    "Delivered",
    "Doubtful",
    "Down",
    "Outcome",
    "Rejected",
    "Released",
    "Report",
    "SenderRefused",
    "Throttled",
]

#: How the operator lets channels reach an address that is not public.
ALLOWED_BY = "MUSTER_CHANNEL_ALLOWED_NETWORKS may allow it"


@dataclass(frozen=True, slots=True)
class Delivered:
    """The provider took it; `reference` is the provider's own id, if it gave one."""

    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """Refused for good."""

    code: str
    """A stable id in capitals: `SMTP_550`, `TEMPLATE_ERROR`."""
    text: str
    suppress: str | None = None
    """Why the address must not be used again, in the words of the suppression list (`hard_bounce`,
    `unsubscribe`); None: the refusal says nothing about the address."""
    advice: str | None = None
    """What to mend where everybody is refused so: then it is about the sender. None: it is about this message."""


@dataclass(frozen=True, slots=True)
class Deferred:
    """Not now."""

    code: str
    text: str
    retry_after: float | None = None
    """Seconds, when the provider named them; absent: the channel's back-off."""
    may_be_greylisting: bool = False
    """A mail server's refusal, which it may give up after a while (RFC 6647 §5)."""
    of_service: bool = False
    """Where everybody is answered so the provider is down; else it is about this message."""


@dataclass(frozen=True, slots=True)
class Throttled:
    """Too fast, or enough for now."""

    code: str
    text: str
    retry_after: float | None = None
    """Seconds."""
    scope: Scope = Scope.CHANNEL
    """What it is about; less than the channel: the others go on."""
    quota: bool = False
    """Enough for this hour or day: the channel waits, and a few messages try now and then, first at `retry_after`."""
    certain: bool = True
    """The provider's words say what it is about. Else its code does, and the same words from several mail domains are
    about the channel."""


@dataclass(frozen=True, slots=True)
class SenderRefused:
    """The sender is refused: a person has to mend something, and until then it would meet everybody."""

    code: str
    text: str
    advice: str
    """What to mend."""
    threshold: int = 5
    """So many of them pause the campaign."""


@dataclass(frozen=True, slots=True)
class Down:
    """Nobody there: refused connection, failed login, unreachable host."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Doubtful:
    """Everything was sent and no answer came."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Released:
    """Never started."""


Outcome = Delivered | Rejected | Deferred | Throttled | SenderRefused | Down | Doubtful | Released
Report = Callable[[Message, Outcome], None]


@dataclass(frozen=True, slots=True)
class ChannelContext:
    """What a process lends its channels. Nothing of it is needed to check settings, only to send."""

    data_dir: Path | None = None
    database: Database | None = None
    guard: Guard | None = None
    """Which addresses may be reached; absent: public ones."""
    certificates: Path | None = None
    """The folder of certificates that the operator keeps; absent: there is none."""
    classifier: Classifier = field(default_factory=classifier_of)
    """Says what providers' answers mean."""
    refresh_token: KeptRefreshToken | None = None
    """Where the channel's refresh token is kept; absent: the channel is no row."""

    @classmethod
    def of(cls, settings: Settings, database: Database) -> ChannelContext:
        """Those of a process. Raises InvalidRules."""
        guard, classifier = Guard(settings.channel_networks), classifier_of(settings.answer_rules)
        return cls(settings.data_dir, database, guard, settings.channel_certificates, classifier)

    def of_channel(self, org_id: UUID, channel_id: UUID, secrets: Secrets) -> ChannelContext:
        """Those of one channel of the database."""
        if self.database is None:
            return self
        return replace(self, refresh_token=KeptRefreshToken(self.database, secrets, org_id, channel_id))

    def check_url(self, field: str, url: str | None) -> None:
        """Raise ValueError, naming the field, when there is a guard that refuses the address in `url`."""
        if self.guard is not None and url is not None:
            try:
                self.guard.check_host(url)
            except ValueError as error:
                raise ValueError(f"{field}: {error}; {ALLOWED_BY}") from None

    def check_mail_server(self, field: str, host: str, port: int, ports: frozenset[int] = MAIL_PORTS) -> None:
        """The same for a mail server, where `host` is an address; `ports`: where such listen."""
        if self.guard is not None:
            try:
                self.guard.check_mail_server(host, port, ports)
            except ValueError as error:
                raise ValueError(f"{field}: {error}; {ALLOWED_BY}") from None


class Channel(Protocol):
    """A configured sender. One instance serves a whole worker process; `send` runs on its event loop.

    Registered by kind in `engine.channels.registry`; its `Settings` and `Credentials` are pydantic models
    (closed, so that an unknown option is refused with its name), built from the channel's row.
    """

    kind: ClassVar[str]
    doubt_policy: ClassVar[str]
    """The default: `resend` (the receiver recognises a repeat) or `hold` (a duplicate costs money or trust)."""
    links: ClassVar[bool]
    """Whether its messages carry an unsubscribe link of ours."""

    @property
    def medium(self) -> AddressMedium | None:
        """What it writes to; None: to any, and the form of each address says what it is."""
        ...

    @property
    def in_one_piece(self) -> bool:
        """Whether a wave is one thing to it (one write, say), so that more messages are in doubt for no longer: it is
        given whole slices. Others start one message after the other, and a crash leaves in doubt what they have.
        """
        ...

    @classmethod
    def problems_of(cls, content: Content, settings: BaseModel | None = None) -> list[str]:
        """What the provider would refuse about `content`, in sentences; empty when nothing is known to be wrong.

        Args:
            settings: The channel's, where they set limits; None: the kind's defaults.
        """
        ...

    def address_of(self, attributes: Mapping[str, Any]) -> str | None:
        """The normalised address an entity is reached at, or None when it has none (excluded: NO_ADDRESS)."""
        ...

    async def send(self, messages: Sequence[Message], report: Report, stop: Event) -> None:
        """Send a wave (1..100 messages, 1..500 `in_one_piece`) as concurrently as the provider allows; see the
        module's promise.
        """
        ...

    async def check(self) -> str | None:
        """None when the provider answers and accepts the credentials, else what is wrong, in a sentence."""
        ...

    async def close(self) -> None:
        """Give back connections. Safe to call twice."""
        ...
