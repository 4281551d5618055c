"""What an operator sets for a mail server."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from engine.channels.http.settings import http_url
from engine.channels.mail_fields import Email, Mailboxes, OneLine  # noqa: TC001 - pydantic reads it
from engine.channels.mailbox_settings import MailboxSettings  # noqa: TC001 - pydantic reads it
from engine.channels.smtp.access_tokens import TOKEN_SERVERS
from engine.channels.smtp.login import Login
from engine.channels.trust import CertificateName, TrustCredentials

__all__ = ["SmtpCredentials", "SmtpSettings", "opened"]

_HOST = re.compile(r"[A-Za-z0-9_.:\[\]-]{1,255}")
#: What a recipient's key (52 characters and a `+`) leaves of the 64 before the `@` (RFC 5321 §4.5.3.1.1).
_VERP_LOCAL = 11
_DEFAULT_PORTS = {"none": 25, "opportunistic": 587, "starttls": 587, "tls": 465}


def _host(value: str) -> str:
    if not _HOST.fullmatch(value):
        raise ValueError("is not a host name or address")
    return value


def _token_server(value: str) -> str:
    return TOKEN_SERVERS.get(value) or http_url(value)


Host = Annotated[str, AfterValidator(_host)]
Seconds = Annotated[timedelta, Field(gt=timedelta(0), le=timedelta(minutes=10))]


class SmtpSettings(BaseModel):
    """The `settings` of a channel of kind `smtp`. Durations are seconds or ISO 8601."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    host: Host
    port: int = Field(default=0, ge=0, le=65535)
    """0: 465 with `tls`, 25 with `none`, else 587."""
    security: Literal["starttls", "tls", "opportunistic", "none"] = "starttls"
    """`starttls`: not without; `tls`: from the first byte; `opportunistic`: STARTTLS if it is offered."""
    verify_certificate: bool = True
    ca_file: CertificateName | None = None
    """The name of certificates that the operator keeps, to trust instead of the system's."""
    token_url: Annotated[str, AfterValidator(_token_server)] | None = None
    """Where access tokens of OAuth 2 are got: `google`, `microsoft`, or a token server's URL; goes with the credential
    `client_id`."""
    token_scope: str | None = Field(default=None, min_length=1, max_length=1000)
    """What they are for, where the token server wants it said (`https://outlook.office365.com/.default`)."""
    insecure_login: bool = False
    """Allow credentials over a connection that anybody can read."""

    from_email: Email
    """Of the From header, where the template names no sender."""
    from_name: OneLine | None = None
    reply_to: Mailboxes | None = None
    """Where answers go: addresses, with names or without (`Help <help@x.org>, ada@x.org`)."""
    return_path: Email | None = None
    """Where bounces go (the envelope's sender); absent: the From header's address."""
    verp: bool = False
    """Put the recipient into `return_path` (`b+…@bounces.example`), so that a bounce that returns nothing of the
    message finds it."""
    headers: dict[str, str] = Field(default_factory=dict)
    """More headers, the same in every message."""
    message_id_domain: Host | None = None
    """Absent: the sender's."""
    dkim_domain: Host | None = None
    """Messages from this domain, and those below it, are signed (`d=`); goes with `dkim_selector` and the credential
    `dkim_private_key`."""
    dkim_selector: str | None = Field(default=None, max_length=63)
    """The key's record is at `SELECTOR._domainkey.DOMAIN`."""
    address: str | None = None
    """Where an entity keeps its address: an attribute's name or a dotted path; absent: any usual name."""

    mailbox: MailboxSettings | None = None
    """Where bounces and answers can be fetched (IMAP or POP3); goes with the credential `mailbox_password`, or (IMAP)
    with access tokens."""

    helo: Host | None = None
    """The name to greet with; absent: this machine's."""
    concurrency: int = Field(default=10, ge=1, le=100)
    """Connections of one worker process."""
    messages_per_connection: int = Field(default=500, ge=1, le=100_000)
    pipelining: bool = True
    """Send commands together where the server offers it (RFC 2920); off for servers that offer it and get it wrong."""
    idle_timeout: Seconds = timedelta(seconds=20)
    """How long an unused connection is kept."""
    connect_timeout: Seconds = timedelta(seconds=30)
    """For all of connecting: greeting, TLS and login."""
    command_timeout: Seconds = timedelta(seconds=60)
    data_timeout: Seconds = timedelta(seconds=120)
    """For the reply to a whole message. When it passes, nobody knows."""

    @model_validator(mode="after")
    def _trust(self) -> Self:
        if self.security == "none" and self.ca_file is not None:
            raise ValueError("ca_file: there is no certificate without TLS")
        if (self.dkim_domain is None) != (self.dkim_selector is None):
            raise ValueError("dkim_domain and dkim_selector go together")
        if self.token_scope is not None and self.token_url is None:
            raise ValueError("token_scope: goes with token_url")
        if self.verp:
            if self.return_path is None:
                raise ValueError("verp: needs return_path")
            if len(self.return_path.rpartition("@")[0]) > _VERP_LOCAL:
                raise ValueError(
                    f"return_path: with verp at most {_VERP_LOCAL} characters may stand before the @"
                )
        return self

    @property
    def effective_port(self) -> int:
        """The port to connect to."""
        return self.port or _DEFAULT_PORTS[self.security]


class SmtpCredentials(TrustCredentials):
    """The `credentials` of a channel of kind `smtp`: a login, a key to sign with, either or none."""

    username: str | None = None
    password: SecretStr | None = None
    access_token: SecretStr | None = None
    """Instead of a password: an access token of OAuth 2, for XOAUTH2. It is used as it is; renew it before it ends."""
    client_id: str | None = Field(default=None, min_length=1, max_length=1000)
    """Of an application at the token server in the settings (`token_url`), which gives access tokens."""
    client_secret: SecretStr | None = None
    refresh_token: SecretStr | None = None
    """Of the account's consent; absent: the application has tokens in its own name. One that the token server hands out
    in its place takes its place here."""
    dkim_private_key: SecretStr | None = None
    """RSA or Ed25519 as PEM without a password, or Ed25519's 32 bytes in base64."""
    mailbox_password: SecretStr | None = None
    """Of the mailbox in the settings; absent: IMAP is logged in to with the channel's access tokens (XOAUTH2)."""

    @model_validator(mode="after")
    def _both(self) -> Self:
        if self.password is not None and self.access_token is not None:
            raise ValueError("access_token: stands instead of a password")
        if self.client_id is not None and (self.password or self.access_token):
            raise ValueError("client_id: access tokens stand instead of a password and of access_token")
        if self.client_id is None and (self.client_secret or self.refresh_token):
            raise ValueError("client_id: goes with client_secret and refresh_token")
        if self.client_id is not None and not (self.client_secret or self.refresh_token):
            raise ValueError("client_id: needs a client_secret, a refresh_token, or both")
        if self.client_id is not None:
            if self.username is None:
                raise ValueError("username and client_id go together")
            return self
        if self.access_token is not None and self.username is None:
            raise ValueError("username and access_token go together")
        if self.access_token is None and (self.username is None) != (self.password is None):
            raise ValueError("username and password go together")
        return self

    def login(self) -> Login | None:
        """Who logs in with what is configured; None: nobody, or somebody with tokens that are got."""
        if self.username is None or self.client_id is not None:
            return None
        return Login(self.username, opened(self.password), opened(self.access_token))


def opened(secret: SecretStr | None) -> str | None:
    """The secret's value; None: there is none."""
    return None if secret is None else secret.get_secret_value()
