"""Which addresses tenants may have this machine connect to: public ones, and networks that the operator allows.

A person who may make a webhook, a channel or an action chooses what this machine connects to; without a guard that
reaches the operator's own network, or the cloud's metadata. The rule is applied to the address itself when a socket is
made for it, so a name that resolves differently the second time, an address written in an odd way, or a redirect gains
nothing. (Webhooks and HTTP channels do not follow redirects at all.)

A URL that is written down with an address in it is refused at once, so that its author learns of it. A refusal never
names an address: what a name inside the operator's network resolves to is not for tenants to learn.

What is public is decided by the list below and not by the Python that runs: it is IANA's special-purpose registries,
and what clouds keep for themselves.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import sys
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from config.errors import MusterError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy.orm import Session

__all__ = [
    "MAIL_PORTS",
    "AddressRefused",
    "Guard",
    "guard_of",
    "guarding",
    "lend_guard",
    "open_mail_socket",
    "refusal",
]

_LONGEST = 2048
_NOT_PUBLIC = "is not a public address"
_NOT_MAIL = "the port is none of those that mail servers listen on"
_NAT64 = ip_network("64:ff9b::/96")
#: IPv4 that is not public: IANA's special-purpose registry (RFC 6890), multicast, and one cloud's metadata.
_INSIDE_4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
#: The only IPv6 that is routed in public (RFC 4291), and what of it is not.
_OUTSIDE_6 = IPv6Network("2000::/3")
_INSIDE_6 = tuple(
    IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "2620:4f:8000::/48", "3fff::/20")
)
#: Where mail servers listen. Another port of a public address is not for a mail channel to talk to.
MAIL_PORTS = frozenset({25, 465, 587, 2465, 2525, 2587})

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


#: Under which a session carries the guard of its process.
_LENT = "guard"


class AddressRefused(MusterError, OSError):
    """No connection to that address; nothing was sent."""

    def __init__(self, reason: str = f"it {_NOT_PUBLIC}") -> None:
        super().__init__(errno.EACCES, reason)


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
        return self._is_allowed(address) or _is_public(address)

    def _is_allowed(self, address: Address) -> bool:
        """Whether the operator allows it by name."""
        return any(one in network for network in self._allowed for one in (address, _inner(address)))

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
            raise ValueError(f"it {_NOT_PUBLIC}")

    def check_mail_server(self, host: str, port: int, ports: frozenset[int] = MAIL_PORTS) -> None:
        """Look at the port of a mail server, and at its address where `host` is one.

        Args:
            ports: Where such servers listen.

        Raises:
            ValueError: it is refused.
        """
        literal = _literal(host.removeprefix("[").removesuffix("]"))
        if literal is not None and self._is_allowed(literal):
            return
        if literal is not None and not self.allows(literal):
            raise ValueError(f"it {_NOT_PUBLIC}")
        if literal is not None and port not in ports:
            raise ValueError(_NOT_MAIL)

    def for_port(self, port: int, ports: frozenset[int]) -> Guard:
        """The guard of connections to one port: where it is none of `ports`, only what the operator allows."""
        return self if port in ports else _AllowedAlone(self._allowed)

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
            raise AddressRefused from None
        if not self.allows(address):
            raise AddressRefused

    def check_mail_address(self, where: str, port: int) -> None:
        """The same for a mail server's address: where the operator did not allow it, the port must be mail's.

        Raises:
            AddressRefused: it must not be connected to.
        """
        self.check_address(where)
        if port not in MAIL_PORTS and not self._is_allowed(ip_address(where.partition("%")[0])):
            raise AddressRefused(_NOT_MAIL)


class _AllowedAlone(Guard):
    """Allows networks of the operator's, and nothing that is public."""

    def allows(self, address: Address) -> bool:
        """Whether it is in one of them."""
        return self._is_allowed(address)


def refusal(error: BaseException) -> str | None:
    """What a guard said, if that is why a connection was not made: of all addresses of a name together."""
    if isinstance(error, AddressRefused):
        return error.strerror
    # aiohttp puts the errors of several addresses into one, by their texts.
    is_several = isinstance(error, OSError) and error.errno == errno.EACCES and _NOT_PUBLIC in str(error)
    return "its addresses are not public" if is_several else None


async def open_mail_socket(guard: Guard, host: str, port: int) -> socket.socket:
    """A connection to the first of a mail server's addresses that takes it.

    Raises:
        AddressRefused: the guard refuses all of them.
        OSError: none answers, or the name cannot be resolved.
    """
    loop = asyncio.get_running_loop()
    refused: OSError | None = None
    failed: OSError | None = None
    try:
        found = await loop.getaddrinfo(
            host.removeprefix("[").removesuffix("]"), port, type=socket.SOCK_STREAM
        )
    except (OSError, UnicodeError):
        raise OSError("the host's name cannot be resolved") from None
    for family, kind, protocol, _, where in found:
        try:
            guard.check_mail_address(str(where[0]), port)
        except AddressRefused as error:
            refused = error
            continue
        connection = socket.socket(family, kind, protocol)
        try:
            connection.setblocking(False)
            await loop.sock_connect(connection, where)
        except OSError as error:
            connection.close()
            failed = error
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise failed or refused or OSError("the host has no address")


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


def _is_public(address: Address) -> bool:
    inner = _inner(address)
    if isinstance(inner, IPv4Address):
        return not any(inner in network for network in _INSIDE_4)
    return inner in _OUTSIDE_6 and not any(inner in network for network in _INSIDE_6)


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
