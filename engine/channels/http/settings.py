"""What an operator sets for a request to somebody's HTTP API: where, what, as whom, and how long to wait.

`RequestSettings` and `RequestCredentials` describe one templated request; the `http` channel, the SMS gateway and
`action` touchpoints use the same two. `Connection` is how a channel reaches its provider.
"""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    model_validator,
)

from engine.channels.trust import CertificateName, TrustCredentials
from engine.kernel.inputs import LongText  # noqa: TC001 - pydantic reads it

__all__ = [
    "BaseUrl",
    "Connection",
    "HeaderName",
    "RequestCredentials",
    "RequestSettings",
    "Seconds",
    "check_private",
    "http_url",
]

#: Scheme, authority without user or template, and the rest, which may hold templates.
_URL = re.compile(r"(https?)://([^/?#\s{}@\\]+)((?:[/?][^#]*)?)", re.IGNORECASE | re.DOTALL)
_SENT = re.compile(r"[!-z|~]+")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_PATH = re.compile(r"[^\s.]+(?:\.[^\s.]+)*")
#: The transport's own: a channel that set one of these could smuggle a second request into the first.
_RESERVED = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "expect", "te", "upgrade", "trailer"}
)
#: Characters of a URL; servers take no more.
LONGEST_URL = 8_192
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def http_url(value: str) -> str:
    """A pydantic validator: a whole http or https URL, as it is sent."""
    if not _SENT.fullmatch(value):
        raise ValueError("holds a character that must be percent-encoded")
    return _templated_url(value)


def _templated_url(value: str) -> str:
    found = _URL.fullmatch(value)
    if found is None:
        raise ValueError(
            "is not a URL like https://api.example.com/path; host and port are written out, credentials go elsewhere"
        )
    if not _has_host(f"{found[1]}://{found[2]}"):
        raise ValueError("names no usable host and port")
    if not value.isprintable():
        raise ValueError("holds a line break or another character that cannot be printed")
    return value


def _has_host(origin: str) -> bool:
    try:
        parts = urlsplit(origin)
        return bool(parts.hostname) and parts.port != 0 and origin.isascii()
    except ValueError:
        return False


def _base_url(value: str) -> str:
    if "?" in value:
        raise ValueError("is the beginning of a URL, without a query")
    return http_url(value).rstrip("/")


def _header_name(value: str) -> str:
    if not _TOKEN.fullmatch(value):
        raise ValueError("is not the name of a header")
    if value.lower() in _RESERVED:
        raise ValueError("is the transport's own header")
    return value


def _path(value: str) -> str:
    if not _PATH.fullmatch(value):
        raise ValueError("is a path into JSON like data.id or messages.0.id")
    return value


def _body(value: Any) -> Any:
    """A body written as JSON text is the same as the JSON itself: variables stand inside its strings."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError(
            'is not JSON; variables stand inside strings, like {"name": "{{ first_name }}"}'
        ) from None


BaseUrl = Annotated[str, AfterValidator(_base_url)]
HeaderName = Annotated[str, AfterValidator(_header_name)]
JsonPath = Annotated[str, AfterValidator(_path)]
Seconds = Annotated[timedelta, Field(gt=timedelta(0), le=timedelta(minutes=10))]
Status = Annotated[int, Field(ge=100, le=599)]


def _is_private_way(url: str) -> bool:
    """Whether nobody on the way can read what travels to `url`: TLS, or this machine itself."""
    parts = urlsplit(url)
    return parts.scheme.lower() == "https" or (parts.hostname or "").lower() in _LOOPBACK


def check_private(url: str, *, insecure_login: bool, field: str = "base_url", what: str = "token") -> None:
    """Raise ValueError when `what` would travel where anybody can read it, and nobody said that it may."""
    if not insecure_login and not _is_private_way(url):
        raise ValueError(f"{field}: would send the {what} unencrypted; use https, or set insecure_login")


class Connection(BaseModel):
    """How a provider is reached. Durations are seconds or ISO 8601."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    concurrency: int = Field(default=20, ge=1, le=500)
    """Requests of one worker process at once."""
    connect_timeout: Seconds = timedelta(seconds=10)
    timeout: Seconds = timedelta(seconds=30)
    """For the answer. When it passes, nobody knows whether the provider has the message."""
    idle_timeout: Seconds = timedelta(seconds=4)
    """How long an unused connection is kept: less than servers do (many close after 5 seconds), because a request
    that meets a connection being closed is in doubt."""
    ca_file: CertificateName | None = None
    """The name of certificates that the operator keeps, to trust instead of the system's."""
    insecure_login: bool = False
    """Allow credentials over a connection that anybody can read."""


class RequestSettings(BaseModel):
    """One request. Strings in `url` (behind the host), `query`, `headers` and `body` are Liquid templates."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    method: Literal["POST", "PUT", "PATCH", "GET", "DELETE"] = "POST"
    url: Annotated[str, StringConstraints(max_length=LONGEST_URL), AfterValidator(_templated_url)]
    """Values in it are percent-encoded; one that would leave a part of the path empty is refused."""
    query: dict[str, LongText] = Field(default_factory=dict, max_length=100)
    """Added to the URL."""
    headers: dict[HeaderName, LongText] = Field(default_factory=dict, max_length=100)
    body: Annotated[dict[str, Any] | list[Any] | None, BeforeValidator(_body)] = None
    """A JSON value, or text that is one. `{{ x }}` in a string gives text; a string that is nothing but
    `{{ x | json }}` gives the value itself, whatever type it has."""
    encoding: Literal["json", "form"] = "json"
    """`form`: an object of plain values, as a browser sends it."""
    idempotency_header: HeaderName | None = "Idempotency-Key"
    """Carries the execution id, the same over all attempts; null: none is sent."""
    success: list[Status] = Field(default_factory=list)
    """Which statuses mean that it was taken; empty: 200 to 299."""
    expect: dict[JsonPath, list[str | int | float | bool | None]] = Field(default_factory=dict)
    """For APIs that answer 200 to everything: what must stand at a path of the answer for it to be a success."""
    reference: JsonPath | None = None
    """Where the answer has the provider's own id."""

    @model_validator(mode="after")
    def _form(self) -> Self:
        flat = self.body is None or (
            isinstance(self.body, dict)
            and not any(isinstance(item, dict | list) for item in self.body.values())
        )
        if self.encoding == "form" and not flat:
            raise ValueError("body: a form is an object of plain values")
        return self


class RequestCredentials(TrustCredentials):
    """What must not be read by anybody: kept encrypted, and taken out of every text."""

    headers: dict[HeaderName, SecretStr] = Field(default_factory=dict)
    """Added to the settings' headers, and stronger than those; no templates."""
    bearer: SecretStr | None = None
    """`Authorization: Bearer …`."""
    username: str | None = None
    """With `password`: `Authorization: Basic …`."""
    password: SecretStr | None = None
    secrets: dict[Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")], SecretStr] = Field(default_factory=dict)
    """Values for the request's templates: `{{ secrets.api_key }}`."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together")
        if self.bearer is not None and self.username is not None:
            raise ValueError("bearer, or username and password, not both")
        return self

    def values(self) -> list[SecretStr]:
        """Every secret that a request sends."""
        single = [secret for secret in (self.bearer, self.password) if secret is not None]
        return [*single, *self.headers.values(), *self.secrets.values()]
