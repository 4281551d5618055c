"""The words of the classifier: what is classified, and what comes of it. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Meaning", "Phase", "Protocol", "ProviderAnswer", "Scope"]

#: The first digit of such a reply.
_ACCEPTING = 2


class Scope(StrEnum):
    """What an answer is about, from the narrowest to the widest."""

    MAILBOX = "mailbox"
    """One recipient."""
    DOMAIN = "domain"
    """A mail domain."""
    PROVIDER = "provider"
    """A mailbox provider: every domain whose mail exchangers are its own."""
    SENDER = "sender"
    """The sender's identity: its address, domain, network or reputation."""
    CHANNEL = "channel"
    """The channel's account: it would meet everybody."""


class Meaning(StrEnum):
    """What follows from an answer."""

    DELIVER = "deliver"
    """Taken."""
    REFUSE = "refuse"
    """Refused for good: it fails this message."""
    DEFER = "defer"
    """Not now, this message: it is tried again with back-off, at the cost of an attempt."""
    SLOW = "slow"
    """Too fast: whatever the scope names goes on more slowly; it costs nobody an attempt."""
    QUOTA = "quota"
    """Enough for this hour or day: whatever the scope names waits; it costs nobody an attempt."""
    SENDER_FAULT = "sender_fault"
    """Something about the sender has to be mended by a person: the campaign is paused, everybody stays pending."""
    DOWN = "down"
    """The provider cannot be used now: the channel's breaker opens; it costs nobody an attempt."""


class Protocol(StrEnum):
    """How an answer came."""

    SMTP = "smtp"
    """A reply of a mail server (RFC 5321 §4.2)."""
    HTTP = "http"
    """An answer of an HTTP API, or an event that it reports."""
    DSN = "dsn"
    """A delivery report (RFC 3464), or a bounce in prose."""


class Phase(StrEnum):
    """What an SMTP reply answers."""

    CONNECT = "connect"
    """The connection, EHLO or STARTTLS."""
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    """The command, before the content."""
    END = "end"
    """The content."""


@dataclass(frozen=True, slots=True)
class ProviderAnswer:
    """What is classified."""

    protocol: Protocol
    code: int | None = None
    """An SMTP reply code or an HTTP status; absent: a report that names none."""
    status: str | None = None
    """An enhanced status code (RFC 3463), read from behind the reply code or from a report's Status field."""
    text: str = ""
    """In the provider's words, one line."""
    phase: Phase | None = None
    """Of SMTP, or of the reply that a report quotes; absent: not known, or another protocol."""
    provider: str | None = None
    """Whose API it is: `twilio`. Rules of another provider do not apply."""
    error: str | None = None
    """The provider's own error code, where its API has such: `21610`."""

    @property
    def is_accepting_reply(self) -> bool:
        """Whether a mail server says with its code that it has taken what was offered (RFC 5321 §4.2.1)."""
        return self.protocol is Protocol.SMTP and self.code is not None and self.code // 100 == _ACCEPTING
