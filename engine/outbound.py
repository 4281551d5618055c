"""Which addresses tenants may have this machine connect to: public ones, and networks that the operator allows.

Whoever may make a webhook, an HTTP channel or an action chooses what this machine connects to; without a guard that
reaches the operator's own network, or the cloud's metadata. The rule is applied to the address itself when a socket is
made for it, so a name that resolves differently the second time, an address written in an odd way, or a redirect gains
nothing. (Webhooks and HTTP channels do not follow redirects at all.)

A URL that is written down with an address in it is refused at once, so that its author learns of it.
"""

from __future__ import annotations

import errno
import socket
import sys
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy.orm import Session

__all__ = ["AddressRefused", "Guard", "guard_of", "guarding", "lend_guard", "refusal"]

_LONGEST = 2048
_NOT_PUBLIC = "is not a public address"
_NAT64 = ip_network("64:ff9b::/96")

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


#: Under which a session carries the guard of its process.
_LENT = "guard"


class AddressRefused(OSError):
    """No connection to that address; nothing was sent."""

    def __init__(self, address: object) -> None:
        super().__init__(errno.EACCES, f"{address} {_NOT_PUBLIC}")


class Guard:
    """The rule.

    Args:
        allowed: Networks that may be reached although they are not public (`MUSTER_WEBHOOK_ALLOWED_NETWORKS`,
            `MUSTER_CHANNEL_ALLOWED_NETWORKS`).
    """

    def __init__(self, allowed: Iterable[Network] = ()) -> None:
        self._allowed = tuple(allowed)

    def allows(self, address: Address) -> bool:
        """Whether `address` may be connected to."""
        inner = _inner(address)
        if any(one in network for network in self._allowed for one in (address, inner)):
            return True
        return all(one.is_global and not one.is_multicast for one in (address, inner))

    def check_url(self, url: str) -> str:
        """The URL of a webhook. A name is looked at again each time it is connected to.

        Raises:
            ValueError: it is no http(s) URL, carries credentials, or names an address that is refused.
        """
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname, parts.port
        except ValueError:
            raise ValueError("is not a URL") from None
        if len(url) > _LONGEST or not url.isascii() or any(character.isspace() for character in url):
            raise ValueError(f"is not a URL of at most {_LONGEST} ASCII characters")
        if parts.scheme not in ("http", "https") or not host:
            raise ValueError("is not an http:// or https:// URL")
        if parts.username is not None or parts.password is not None:
            raise ValueError("must not carry credentials")
        self.check_host(url)
        return url

    def check_host(self, url: str) -> None:
        """Look at the address that a URL names, if it names one.

        Raises:
            ValueError: it is refused.
        """
        literal = _literal(urlsplit(url).hostname or "")
        if literal is not None and not self.allows(literal):
            raise ValueError(f"{literal} {_NOT_PUBLIC}")

    def socket(self, info: tuple[int, int, int, str, Any]) -> socket.socket:
        """A socket for a resolved address (aiohttp's socket factory).

        Raises:
            AddressRefused: it must not be connected to.
        """
        family, kind, protocol, _, where = info
        self.check_address(where[0])
        return socket.socket(family, kind, protocol)

    def check_address(self, where: object) -> None:
        """Look at what a socket is about to be connected to.

        Raises:
            AddressRefused: it must not be, or is no IP address.
        """
        try:
            address = ip_address(str(where).partition("%")[0])
        except ValueError:
            raise AddressRefused(where) from None
        if not self.allows(address):
            raise AddressRefused(address)


def refusal(error: BaseException) -> str | None:
    """What a guard said, if that is why a connection was not made: of all addresses of a name together."""
    if not isinstance(error, OSError) or error.errno != errno.EACCES or _NOT_PUBLIC not in str(error):
        return None
    return error.strerror if isinstance(error, AddressRefused) else "its addresses are not public"


def lend_guard(session: Session, guard: Guard) -> None:
    """Let what is written in `session` be looked at by `guard`."""
    session.info[_LENT] = guard


def guard_of(session: Session) -> Guard | None:
    """The guard of the process that writes; None: it has none, and only sending looks at addresses."""
    guard: Guard | None = session.info.get(_LENT)
    return guard


#: The guard of whatever connects in this context.
_guarding: ContextVar[Guard | None] = ContextVar("guarding", default=None)


@contextmanager
def guarding(guard: Guard) -> Iterator[None]:
    """Apply a guard to every connection that is made by Python's sockets meanwhile, in this context: for libraries that
    connect by themselves, however they do.
    """
    _watch_sockets()
    token = _guarding.set(guard)
    try:
        yield
    finally:
        _guarding.reset(token)


@lru_cache(maxsize=1)
def _watch_sockets() -> None:
    """For the rest of the process's life: such a hook cannot be taken away."""
    sys.addaudithook(_connecting)


def _connecting(event: str, args: tuple[Any, ...]) -> None:
    if event in ("socket.connect", "socket.sendto"):
        guard = _guarding.get()
        if guard is not None:
            where = args[1]
            guard.check_address(where[0] if isinstance(where, tuple) else where)


def _inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, else itself."""
    if isinstance(address, IPv4Address):
        return address
    embedded = address.ipv4_mapped or address.sixtofour
    if embedded is None and address in _NAT64:
        embedded = IPv4Address(int(address) & 0xFFFFFFFF)
    return embedded or address


def _literal(host: str) -> Address | None:
    """The address that a host is, in any spelling that a resolver takes for one; None for a name."""
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host))  # 127.1, 0x7f000001, 2130706433
    except OSError:
        return None
