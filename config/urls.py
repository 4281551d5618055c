"""URLs of servers as people paste them, read once and refused where nothing could connect to them.

A message never repeats the URL: it may hold a password.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import SplitResult, parse_qs, quote, unquote, urlsplit

__all__ = ["EMBEDDED", "SQLITE", "broker_url", "database_url", "protected_url", "redis_url"]

#: The broker inside the process.
EMBEDDED = "embedded://"
SQLITE = "sqlite:///"

#: What hosting providers and libpq write for the one driver there is.
_POSTGRESQL = frozenset({"postgres", "postgresql", "postgresql+psycopg"})
_REDIS = frozenset({"redis", "rediss"})
_AMQP = frozenset({"amqp", "amqps"})
#: A user and a password before the host; a password may hold a slash.
_LOGIN = re.compile(r"^[^:/@]*(?::[^@]*)?@")


def protected_url(url: str) -> str:
    """The URL of something that must come as it was sent: over `https://`, or `http://` on this machine.

    Raises:
        ValueError: it is none.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("is no URL") from None
    if parts.scheme not in ("https", "http") or not host:
        raise ValueError("is no https:// URL")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not carry credentials")
    if parts.scheme == "http" and not _is_loopback(host):
        raise ValueError("would be read unprotected; use https")
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def database_url(url: str) -> str:
    """The URL as SQLAlchemy takes it.

    `postgres://`, `postgresql://` and `postgresql+psycopg://` name the same driver. Several hosts are taken in libpq's
    form (`postgresql://db1:5432,db2:5432/muster?target_session_attrs=primary`).

    Raises:
        ValueError: nothing could connect to it.
    """
    url = url.strip()
    if url.startswith(SQLITE):
        if not url.removeprefix(SQLITE).partition("?")[0]:
            raise ValueError("names no file: sqlite:///path/to/file.db")
        return url
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.lower() not in _POSTGRESQL:
        raise ValueError("use postgresql://user@host/database or sqlite:///path/to/file.db")
    login = "".join(_LOGIN.findall(rest)[:1])
    hosts, slash, after = rest.removeprefix(login).partition("/")
    if "?" in hosts or not slash or not unquote(after.partition("?")[0]):
        raise ValueError("names no database: postgresql://user@host/database")
    if "," in hosts:
        every = [_host_and_port(urlsplit(f"//{host}"), "PostgreSQL") for host in hosts.split(",")]
        path, _, query = after.partition("?")
        query = "&".join(
            [f"host={quote(host)}:{port or 5432}" for host, port in every] + [query] * bool(query)
        )
        return f"postgresql+psycopg://{login}/{path}?{query}"
    if hosts:
        _host_and_port(urlsplit(f"//{hosts}"), "PostgreSQL")
    if set(parse_qs(after.partition("?")[2]).get("pooler", [])) - {"transaction"}:
        raise ValueError("the one pooler there is a word for is pooler=transaction")
    return f"postgresql+psycopg://{rest}"


def redis_url(url: str) -> str:
    """The URL, if a Redis client takes it.

    Raises:
        ValueError: it does not.
    """
    return _redis(_split(url, _REDIS, "use redis://host:6379/0 or rediss://host:6379/0"))


def broker_url(url: str) -> str:
    """The URL, if there can be a broker: Redis, RabbitMQ, or the one inside the process.

    Raises:
        ValueError: there cannot.
    """
    if url.startswith(EMBEDDED):
        return url
    parts = _split(url, _REDIS | _AMQP, "use redis://…, rediss://…, amqp://…, amqps://… or embedded://")
    if parts.scheme in _REDIS:
        return _redis(parts)
    _host_and_port(parts, "RabbitMQ")
    if "/" in parts.path.removeprefix("/"):
        raise ValueError("a virtual host with a slash is written with %2F: amqp://user@host/%2Fname")
    return parts.geturl()


def _split(url: str, schemes: frozenset[str], otherwise: str) -> SplitResult:
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        raise ValueError(f"is not a URL: {otherwise}") from None
    if parts.scheme not in schemes or not url.strip().lower().startswith(f"{parts.scheme}://"):
        raise ValueError(otherwise)
    return parts


def _redis(parts: SplitResult) -> str:
    _host_and_port(parts, "Redis")
    number = parts.path.strip("/")
    if number and not (number.isascii() and number.isdigit()):
        raise ValueError("the path is the number of a Redis database: redis://host:6379/0")
    return parts.geturl()


def _host_and_port(parts: SplitResult, server: str) -> tuple[str, int | None]:
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = parts.hostname, 0
    if not host:
        raise ValueError(f"names no host of {server}")
    if port == 0:
        raise ValueError("the port is a number from 1 to 65535")
    return host, port
