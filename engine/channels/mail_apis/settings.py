"""What every channel over a mail provider's API is set with."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, SecretStr, model_validator

from engine.channels.http.settings import Connection, Seconds, check_private
from engine.channels.mail_fields import Email, Mailboxes, OneLine  # noqa: TC001 - pydantic reads them
from engine.channels.trust import TrustCredentials
from engine.content.headers import check_header

if TYPE_CHECKING:
    from engine.channels.port import ChannelContext

__all__ = [
    "MailApiCredentials",
    "MailApiSettings",
    "Secret",
    "SendingSettings",
    "check_connection",
    "check_key",
]

Secret = Annotated[SecretStr, Field(min_length=1, max_length=2000)]


class SendingSettings(Connection):
    """Who sends, and how the provider is reached. Durations are seconds or ISO 8601."""

    from_email: Email
    """Of the From header, where the template names no sender."""
    from_name: OneLine | None = None
    reply_to: Mailboxes | None = None
    """Where answers go: addresses, with names or without (`Help <help@x.org>, ada@x.org`)."""
    headers: dict[str, str] = Field(default_factory=dict, max_length=20)
    """More headers, the same in every message."""
    address: str | None = None
    """Where an entity keeps its address: an attribute's name or a dotted path; absent: any usual name."""
    concurrency: int = Field(default=4, ge=1, le=100)
    """Requests of one worker process at once."""
    timeout: Seconds = timedelta(seconds=60)
    """For the answer. When it passes, nobody knows whether the provider has the messages of the request."""

    @model_validator(mode="after")
    def _headers(self) -> Self:
        for name, value in self.headers.items():
            if (problem := check_header(name)) is not None:
                raise ValueError(f"headers: {name!r} {problem}")
            if not value.strip() or not value.isprintable():
                raise ValueError(f"headers: {name!r} has no value, or one that cannot be printed")
        return self


class MailApiSettings(SendingSettings):
    """The same of a provider whose API can count opens and clicks by itself."""

    provider_tracking: bool = False
    """Let the provider count opens and rewrite links, too; Muster does it by itself (docs/tracking.md)."""


class MailApiCredentials(TrustCredentials):
    """Credentials that are one key."""

    api_key: Secret

    def key(self) -> str:
        """The key, in plain text.

        Raises:
            ValueError: it cannot be one.
        """
        key = self.api_key.get_secret_value()
        check_key("api_key", key)
        return key


def check_key(name: str, key: str) -> None:
    """Raise ValueError where a key would break out of its header."""
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError(f"credentials.{name}: holds a character that no key has")


def check_connection(base_url: str, connection: Connection, channel_context: ChannelContext) -> None:
    """Raise ValueError where keys would travel unencrypted, or the address is refused; names the setting."""
    check_private(base_url, insecure_login=connection.insecure_login, what="key")
    channel_context.check_url("base_url", base_url)
