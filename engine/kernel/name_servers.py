"""Which name servers are asked: the system's, or those that somebody names."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import dns.resolver

__all__ = ["resolver_of"]


def resolver_of(servers: Sequence[str] = ()) -> dns.resolver.Resolver:
    """A resolver.

    Args:
        servers: Addresses of the servers to ask, with a port where it is not 53 (`127.0.0.1:5300`, `[::1]:5300`); none:
            those of the system.

    Raises:
        dns.exception.DNSException, ValueError, OSError: there is none to ask.
    """
    import dns.resolver  # noqa: PLC0415 - commands that ask no name server start without it

    resolver = dns.resolver.Resolver(configure=not servers)
    if servers:
        resolver.nameservers = [_address(server) for server in servers]
        resolver.nameserver_ports = {
            _address(server): int(port) for server in servers if (port := _port(server))
        }
    return resolver


def _address(server: str) -> str:
    """The address of `127.0.0.1:5300`, `[::1]:5300`, `127.0.0.1` or `::1`."""
    host, _, port = server.rpartition(":")
    with_port = port.isdigit() and (":" not in host or host.startswith("["))
    return (host if host and with_port else server).strip("[]")


def _port(server: str) -> str | None:
    address = _address(server)
    return server.rpartition(":")[2] if len(server.strip("[]")) > len(address) else None
