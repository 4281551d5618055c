"""Questions to the domain name system about a mail domain: text records, addresses, mail exchangers, reverse names.

That a name does not exist, or has no such record, is an answer; that nobody answers is an error.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import dns.exception
import dns.name
import dns.resolver
import dns.reversename

from config.errors import MusterError
from engine.kernel.name_servers import resolver_of

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Lookup", "LookupFailed"]

#: Seconds for one question, all tries of it.
_SECONDS = 5.0
#: Names that several answers in a row may lead to are followed by the resolver.
_NO_ANSWER = (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer, dns.name.EmptyLabel, dns.name.LabelTooLong)


class LookupFailed(MusterError):
    """Nobody answers, or the answer is that somebody failed."""


class Lookup:
    """Asks a resolver.

    Args:
        servers: Addresses of the servers to ask, with a port where it is not 53 (`127.0.0.1:5300`); none: those of
            the system.
        within: Seconds for all questions together; what is asked later fails.

    Raises:
        dns.exception.DNSException, ValueError: there is no server to ask.
    """

    def __init__(self, servers: Sequence[str] = (), *, within: float = 60.0) -> None:
        self._ends = time.monotonic() + within
        self._resolver = resolver_of(servers)
        self._resolver.search = []

    def texts(self, name: str) -> list[str]:
        """The text records of a name, each with its strings joined.

        Raises:
            LookupFailed: see there.
        """
        return [b"".join(record.strings).decode("utf-8", "replace") for record in self._ask(name, "TXT")]

    def addresses(self, name: str) -> list[str]:
        """Both kinds of addresses of a name.

        Raises:
            LookupFailed: see there.
        """
        return [record.address for kind in ("A", "AAAA") for record in self._ask(name, kind)]

    def exchangers(self, name: str) -> list[str]:
        """The mail exchangers of a domain, the most wanted first; `""` is one that takes no mail (RFC 7505).

        Raises:
            LookupFailed: see there.
        """
        found = sorted(self._ask(name, "MX"), key=lambda record: record.preference)
        return [_plain(record.exchange) for record in found]

    def reverse_names(self, address: str) -> list[str]:
        """The names that an address is said to have.

        Raises:
            LookupFailed: see there.
        """
        name = str(dns.reversename.from_address(address))
        return [_plain(record.target) for record in self._ask(name, "PTR")]

    def _ask(self, name: str, kind: str) -> list[Any]:
        left = self._ends - time.monotonic()
        if left <= 0:
            raise LookupFailed(f"{kind} of {name}: not asked, the other answers took too long")
        try:
            return list(self._resolver.resolve(name, kind, lifetime=min(_SECONDS, left)))
        except _NO_ANSWER:
            return []
        except (dns.exception.DNSException, OSError) as error:
            raise LookupFailed(f"{kind} of {name}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return "no answer in time" if isinstance(error, dns.exception.Timeout) else "the servers could not answer"


def _plain(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower().rstrip(".")
