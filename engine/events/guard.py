"""Which addresses a webhook may be sent to: public ones, and networks that the operator allows.

Whoever may make a webhook chooses what this machine connects to; without a guard that reaches the operator's own
network, or the cloud's metadata. The rule is applied to the address itself when a socket is made for it, so a
name that resolves differently the second time, or an address written in an odd way, gains nothing. Redirects are not
followed at all (engine.events.postman).
"""

from __future__ import annotations

import errno
import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["AddressRefused", "Guard"]

_LONGEST = 2048
_NAT64 = ip_network("64:ff9b::/96")

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class AddressRefused(OSError):
    """No connection to that address; nothing was sent."""


class Guard:
    """The rule.

    Args:
        allowed: Networks that may be reached although they are not public (`MUSTER_WEBHOOK_ALLOWED_NETWORKS`).
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
        literal = _literal(host)
        if literal is not None and not self.allows(literal):
            raise ValueError(f"{literal} is not a public address")
        return url

    def socket(self, info: tuple[int, int, int, str, Any]) -> socket.socket:
        """A socket for a resolved address (aiohttp's socket factory).

        Raises:
            AddressRefused: it must not be connected to.
        """
        family, kind, protocol, _, where = info
        address = ip_address(str(where[0]).partition("%")[0])
        if not self.allows(address):
            raise AddressRefused(errno.EACCES, f"{address} is not a public address")
        return socket.socket(family, kind, protocol)


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
